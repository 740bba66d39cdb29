import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from flows.origin import OwnPages


async def say(request):
    return PlainTextResponse("here")


async def talk(socket):
    await socket.accept()
    await socket.close()


@pytest.fixture
def client():
    app = Starlette(routes=[Route("/", say, methods=["GET", "POST"]), WebSocketRoute("/events", talk)])
    return TestClient(OwnPages(app, 4200), base_url="http://127.0.0.1:4200")


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 200),
        ("http://127.0.0.1:4200", 200),
        ("http://localhost:4200", 200),
        ("http://127.0.0.1:4201", 403),
        ("https://127.0.0.1:4200", 403),
        ("http://evil.example", 403),
        ("null", 403),
        ("", 403),
    ],
)
def test_a_foreign_page_is_not_heeded(client, origin, status):
    headers = {} if origin is None else {"Origin": origin}
    assert client.get("/", headers=headers).status_code == status
    assert client.post("/", headers=headers).status_code == status


def test_a_foreign_name_of_this_machine_is_not_heeded(client):
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 400
    assert client.get("/", headers={"Host": "localhost:4200"}).status_code == 200


def test_a_foreign_page_opens_no_socket(client):
    url = "ws://127.0.0.1:4200/events"
    for headers in ({"Origin": "http://127.0.0.1:4200"}, {}):
        with client.websocket_connect(url, headers=headers):
            pass
    with pytest.raises(WebSocketDisconnect), client.websocket_connect(url, headers={"Origin": "http://evil.example"}):
        pass
