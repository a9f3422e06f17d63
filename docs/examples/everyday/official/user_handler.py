"""Call the API with the token of each request's user: `uvicorn user_handler:app`."""

import functools
from typing import Annotated, Any

from careful import http, iterate
from fastapi import Depends, FastAPI
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from problems import add_problem_responses
from PureCloudPlatformClientV2 import CoachingApi
from PureCloudPlatformClientV2.api_client import ApiClient

app = FastAPI()
add_problem_responses(app)
HTTP = http()  # one connection pool for all users


@functools.lru_cache(1000)
def api_of(token: str) -> CoachingApi:
    """Return the API for one user; not with `Configuration`, which the whole process shares."""
    client = ApiClient()
    client.set_http_client(HTTP)
    client.access_token = token
    return CoachingApi(client)


@app.get("/me/appointments")
def mine(bearer: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> list[dict[str, Any]]:
    """Return the appointments of the user whose token the request has."""
    api = api_of(bearer.credentials)
    return [api.api_client.sanitize_for_serialization(each) for each in iterate(api.get_coaching_appointments_me)]
