"""Stream a long list to a browser: `uvicorn stream:app`."""

import itertools
import json
import os
from typing import Annotated

from careful import CarefulClient, iterate
from fastapi import FastAPI, Query
from fastapi.responses import StreamingResponse
from problems import add_problem_responses
from PureCloudPlatformClientV2 import CoachingApi

app = FastAPI()
add_problem_responses(app)
ID, SECRET = (os.environ[f"GENESYSCLOUD_OAUTHCLIENT_{name}"] for name in ("ID", "SECRET"))
API = CoachingApi(CarefulClient(lambda client: client.get_client_credentials_token(ID, SECRET)))


@app.get("/appointments")
def appointments(user_id: Annotated[list[str], Query()]) -> StreamingResponse:
    """Stream the appointments of users, one line of JSON per appointment."""
    found = iterate(API.get_coaching_appointments, user_id)
    first = list(itertools.islice(found, 1))  # an error up to here becomes an error response
    plain = API.api_client.sanitize_for_serialization
    lines = (json.dumps(plain(each)) + "\n" for each in itertools.chain(first, found))
    return StreamingResponse(lines, media_type="application/x-ndjson")
