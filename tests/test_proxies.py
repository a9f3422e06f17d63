"""Tests of the proxies of the environment: which one a host is reached through, and what is said of one that is none."""

import os

import pytest

from coaching_async import ConfigurationError
from coaching_async._proxies import proxy_for

API = "https://api.mypurecloud.com"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.lower().endswith("_proxy") or name == "REQUEST_METHOD":
            monkeypatch.delenv(name)


def url_for(url: str) -> str | None:
    proxy = proxy_for(url)
    return proxy and proxy.url


@pytest.mark.parametrize(
    "value, url",
    [
        ("http://proxy.test:3128", "http://proxy.test:3128"),
        ("http://proxy.test:3128/", "http://proxy.test:3128"),
        ("proxy.test:3128", "http://proxy.test:3128"),
        ("proxy.test", "http://proxy.test"),
        (' "http://proxy.test:3128"\r\n', "http://proxy.test:3128"),
        ("HTTPS://proxy.test", "https://proxy.test"),
        ("http://user:p%40ss@proxy.test:3128", "http://user:p%40ss@proxy.test:3128"),
        ("user:pass@proxy.test:3128", "http://user:pass@proxy.test:3128"),
        ("http://[fd00::1]:3128", "http://[fd00::1]:3128"),
        ("socks5h://proxy.test:1080", "socks5h://proxy.test:1080"),
        ("socks://127.0.0.1:7891/", "socks5://127.0.0.1:7891"),
        ("", None),
        (" \n", None),
        ('""', None),
    ],
)
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
def test_a_variable_names_a_proxy(monkeypatch: pytest.MonkeyPatch, variable: str, value: str, url: str | None):
    monkeypatch.setenv(variable, value)

    assert url_for(API) == url


@pytest.mark.parametrize(
    "value",
    [
        "http://",
        "://proxy.test",
        "http://user:s3cret/x@proxy.test:3128",
        "http://user:s3cret#x@proxy.test:3128",
        "http://us/er:s3cret@proxy.test:3128",
        "http://user:s3cret@proxy.test:port",
        "http://user:s3cret@proxy.test:70000",
        "http://user:s3cret@proxy.test:0",
        "http://user:s3cret@pro xy.test:3128",
        "http://user:s3cret@proxy.test\n:3128",
        "http://user:s3cret@[::1",
        "http://user:s3cret@a..b:3128",
        "socks4://user:s3cret@proxy.test",
        "ftp://user:s3cret@proxy.test",
        "http:\udcff//s3cret",
    ],
)
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "All_Proxy"])
def test_the_variable_that_names_no_proxy_is_named_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
):
    monkeypatch.setenv(variable, value)

    with pytest.raises(ConfigurationError, match=f"^{variable} is set to what is no proxy's URL") as caught:
        proxy_for(API)

    assert "s3cret" not in str(caught.value)


def test_the_variable_of_the_scheme_comes_before_that_of_all_which_is_then_not_looked_at(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("https_proxy", "http://proxy.test:1")
    monkeypatch.setenv("ALL_PROXY", "nonsense://")
    monkeypatch.setenv("HTTP_PROXY", "http://other.test:1")

    assert url_for(API) == "http://proxy.test:1"
    assert url_for("http://api.test") == "http://other.test:1"


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST",
        "localhost.",
        "sandbox.localhost",
        "127.0.0.1",
        "127.8.9.1",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
    ],
)
def test_hosts_on_this_machine_need_no_proxy_and_no_variable_is_looked_at(monkeypatch: pytest.MonkeyPatch, host: str):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "nonsense://")

    assert proxy_for(f"http://{host}:8080/x") is None
    assert proxy_for(f"https://{host}") is None


@pytest.mark.parametrize(
    "entries, direct, proxied",
    [
        ("api.mypurecloud.com", ["api.mypurecloud.com"], ["login.mypurecloud.com", "xapi.mypurecloud.com"]),
        ("mypurecloud.com", ["mypurecloud.com", "api.mypurecloud.com"], ["notmypurecloud.com", "mypurecloud.com.x"]),
        (".mypurecloud.com", ["mypurecloud.com", "api.mypurecloud.com"], ["notmypurecloud.com"]),
        ("*.mypurecloud.com", ["a.b.mypurecloud.com"], ["mypurecloud.de"]),
        ("MyPureCloud.COM.", ["api.mypurecloud.com"], ["mypurecloud.de"]),
        ("a.test, b.test\tc.test;d.test", ["a.test", "b.test", "c.test", "d.test"], ["e.test"]),
        ('"a.test,b.test"\n', ["a.test", "b.test"], ["c.test"]),
        (",, ,", [], ["a.test"]),
        ("*", ["a.test", "10.1.2.3", "[fd00::1]"], []),
        ("x.test,*", ["a.test"], []),
        ("a.test:8443", ["a.test:8443"], ["a.test", "a.test:443"]),
        ("a.test:443", ["a.test", "a.test:443"], ["a.test:8443"]),
        ("https://a.test", ["a.test"], ["b.test"]),
        ("http://a.test", [], ["a.test"]),
        ("10.0.0.0/8", ["10.1.2.3"], ["11.1.2.3", "a.test"]),
        ("10.1.2.3/8", ["10.9.9.9"], ["11.1.2.3"]),
        ("10.1.2.3", ["10.1.2.3"], ["10.1.2.4", "210.1.2.3"]),
        ("1.2.3", [], ["10.1.2.3"]),
        ("192.168.*", ["192.168.7.7"], ["192.169.7.7"]),
        ("fd00:1234::/64", ["[fd00:1234::7]"], ["[fd00:1235::7]", "10.1.2.3"]),
        ("[fd00:1234::/64]", ["[fd00:1234::7]"], ["[fd00:1235::7]"]),
        ("[fd00::]/8", ["[fd00:1234::7]"], ["[fe00::7]"]),
        ("[fd00::1]", ["[fd00::1]", "[fd00:0::0:1]:8443"], ["[fd00::2]"]),
        ("fd00::1", ["[fd00::1]"], ["[fd00::2]"]),
        ("[fd00::1]:8443", ["[fd00::1]:8443"], ["[fd00::1]"]),
        ("fe80::1%eth0", ["[fe80::1]"], ["[fe80::2]"]),
        ("b\u00fccher.test", ["b\u00fccher.test", "api.xn--bcher-kva.test"], ["bucher.test"]),
        (
            "[::1,[,],::/x,/8,:80,a..b,%,[x]:99999999999999999999,10.0.0.0/99,.,..,a.test",
            ["a.test"],
            ["b.test", "10.0.0.1"],
        ),
    ],
)
@pytest.mark.parametrize("variable", ["NO_PROXY", "no_proxy"])
def test_no_proxy_names_hosts_and_what_means_nothing_in_it_is_ignored(
    monkeypatch: pytest.MonkeyPatch, variable: str, entries: str, direct: list[str], proxied: list[str]
):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.test:1")
    monkeypatch.setenv(variable, entries)

    assert [host for host in [*direct, *proxied] if proxy_for(f"https://{host}") is None] == direct


def test_the_address_of_a_proxy_has_no_password(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://user:s3cret@[fd00::1]")
    proxy = proxy_for(API)

    assert proxy is not None
    assert (proxy.address, proxy.variable) == ("[fd00::1]:80", "HTTPS_PROXY")
    assert "s3cret" not in repr(proxy)
