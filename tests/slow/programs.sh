#!/bin/sh
# Installs Chromium and LibreOffice where they are missing, on Debian as root. Elsewhere it says which tests are skipped.
set -e
missing=
has() { command -v "$1" >/dev/null; }
has chromium || has chromium-browser || has google-chrome || missing=chromium
has soffice || has libreoffice || missing="$missing libreoffice-calc-nogui"
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! has apt-get; then
  echo "missing: $missing. The tests that need them are skipped; on Debian and Ubuntu root can run tests/slow/programs.sh." >&2
  exit 0
fi
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
# shellcheck disable=SC2086  # a list of packages
apt-get -qq install --yes --no-install-recommends $missing >/dev/null
