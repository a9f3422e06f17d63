#!/bin/sh
# Installs what test_export_tables.py opens files with, on Debian and Ubuntu, as root.
set -e
apt-get update -q
apt-get install -q -y --no-install-recommends libreoffice-calc-nogui
