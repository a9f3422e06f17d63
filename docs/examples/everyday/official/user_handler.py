"""A handler that speaks for the user who asks: `uvicorn user_handler:app`."""

import functools
from typing import Annotated, Any

from careful import http, walk
from fastapi import Depends, FastAPI
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from problems import add_problem_responses
from PureCloudPlatformClientV2 import CoachingApi
from PureCloudPlatformClientV2.api_client import ApiClient

app = FastAPI()
add_problem_responses(app)
HTTP = http()  # connections for everybody


@functools.lru_cache(1000)
def api_of(token: str) -> CoachingApi:
    """The API for one user; never by the configuration, which is one for the whole process."""
    client = ApiClient()
    client.set_http_client(HTTP)
    client.access_token = token
    return CoachingApi(client)


@app.get("/me/appointments")
def mine(bearer: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> list[dict[str, Any]]:
    """The appointments of the user whose token the request brings."""
    api = api_of(bearer.credentials)
    return [api.api_client.sanitize_for_serialization(each) for each in walk(api.get_coaching_appointments_me)]
