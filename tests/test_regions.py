import pytest

from coaching_async import ConfigurationError
from coaching_async._regions import REGIONS, Hosts, resolve_hosts

IRELAND = Hosts("https://api.mypurecloud.ie", "https://login.mypurecloud.ie")


@pytest.mark.parametrize("name", REGIONS)
def test_every_region_has_an_api_host_and_a_login_host(name: str):
    domain = REGIONS[name]

    assert resolve_hosts(name) == (f"https://api.{domain}", f"https://login.{domain}")


@pytest.mark.parametrize(
    "spelling",
    [
        "eu-west-1",
        "eu_west_1",
        "EU-West-1",
        " eu-west-1 ",
        "mypurecloud.ie",
        "MyPureCloud.IE",
        "api.mypurecloud.ie",
        "login.mypurecloud.ie",
        "apps.mypurecloud.ie",
        "https://api.mypurecloud.ie",
        "https://api.mypurecloud.ie/",
        "https://apps.mypurecloud.ie",
        "https://login.mypurecloud.ie/",
        "HTTPS://API.mypurecloud.ie",
    ],
)
def test_a_region_may_be_spelled_in_many_ways(spelling: str):
    assert resolve_hosts(spelling) == IRELAND


def test_without_a_region_it_is_us_east_1():
    assert resolve_hosts() == Hosts("https://api.mypurecloud.com", "https://login.mypurecloud.com")


def test_an_unknown_domain_is_accepted_and_an_unknown_region_name_is_not():
    assert resolve_hosts("xyz9.pure.cloud").api == "https://api.xyz9.pure.cloud"
    with pytest.raises(ConfigurationError, match="unknown region 'eu-west-99': use one of us-east-1"):
        resolve_hosts("eu-west-99")


def test_a_host_without_an_api_prefix_is_its_own_login_host():
    assert resolve_hosts(base_url="http://127.0.0.1:8080/") == ("http://127.0.0.1:8080", "http://127.0.0.1:8080")
    assert resolve_hosts(base_url="http://[::1]:8080").login == "http://[::1]:8080"
    assert resolve_hosts("http://localhost:8080").login == "http://localhost:8080"


def test_a_gateway_may_have_a_path():
    gateway = resolve_hosts(base_url="https://gw.example/genesys/api/", login_url="https://gw.example/genesys/login")

    assert gateway == ("https://gw.example/genesys/api", "https://gw.example/genesys/login")


@pytest.mark.parametrize(
    "given, says",
    [
        ({"region": "eu-west-1", "base_url": "https://api.mypurecloud.ie"}, "contradict each other"),
        ({"login_url": "https://login.mypurecloud.ie"}, "give both"),
        ({"base_url": "api.mypurecloud.ie"}, "has to be a URL"),
        ({"base_url": "ftp://api.mypurecloud.ie"}, "has to be a URL"),
        ({"base_url": "https://"}, "has to be a URL"),
        ({"base_url": "https://api.test:http"}, "has to be a URL"),
        ({"base_url": "https://[::1"}, "has to be a URL"),
        ({"base_url": "https://api.mypurecloud.com@evil.example"}, "nothing else"),
        ({"base_url": "https://api.mypurecloud.com\\@evil.example"}, "nothing else"),
        ({"base_url": "https://api.mypurecloud.com?x=1"}, "nothing else"),
        ({"base_url": "https://api.mypurecloud.com#x"}, "nothing else"),
        ({"base_url": "https://api.mypurecloud.com/\x00"}, "nothing else"),
        ({"base_url": "http://api.mypurecloud.com"}, "in the clear"),
        ({"base_url": "https://api.my purecloud.com"}, "nothing else"),
        ({"base_url": "https://api..com"}, "has to be a URL"),
        ({"base_url": f"https://{'a' * 64}.com"}, "has to be a URL"),
        ({"base_url": "https://api.corp.example/genesys"}, "give its login_url too"),
        ({"region": "https://api.mypurecloud.ie/api/v2"}, "unknown region"),
        ({"region": "my purecloud.ie"}, "unknown region"),
        ({"region": "mypurecloud..ie"}, "has to be a URL"),
        ({"base_url": "https://api.test", "login_url": "http://login.test"}, "in the clear"),
        ({"region": "http://127.0.0.1.evil.example"}, "in the clear"),
    ],
)
def test_invalid_regions_and_urls_are_rejected(given: dict[str, str], says: str):
    with pytest.raises(ConfigurationError, match=says):
        resolve_hosts(**given)


def test_plain_http_to_other_hosts_than_loopback_needs_allow_http():
    assert resolve_hosts(base_url="http://sandbox.internal", allow_http=True).api == "http://sandbox.internal"


def test_a_password_in_a_region_is_not_shown():
    with pytest.raises(ConfigurationError, match="unknown region this one") as caught:
        resolve_hosts("https://api.user:s3cret@x.com")

    assert "s3cret" not in str(caught.value)
