"""What a browser is told, what strangers cannot do, and how links, sessions and tokens end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from starlette.testclient import TestClient

from assent.store import Store
from assent.store.sessions import OWNER_LINK_HOURS, SESSION_HOURS, make_link, owner_link
from assent.web import Service, create_app
from assent.web.guard import MAX_BODY
from assent.web.limits import Limit, RateLimits
from tests.unit.store.conftest import Clock
from tests.web.conftest import mostly_sqlite
from tests.web.people import PASSWORD, House

MakeRun = Callable[..., list[int]]
pytestmark = mostly_sqlite


def test_every_answer_has_the_headers(house: House) -> None:
    client = house("owner").client
    for path in ("/", "/sign-in", "/api/v1/me", "/nowhere", "/static/htmx.min.js", "/api/v1/openapi.json"):
        answer = client.get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert "server" not in answer.headers
        if not path.startswith("/static"):
            assert answer.headers["cache-control"] == "no-store"


def test_cookies(house: House, service: Service) -> None:
    client = house.client()
    answer = client.post("/sign-in", data={"login": "Owner ", "password": PASSWORD})
    cookie = answer.headers["set-cookie"].lower()
    assert answer.status_code == 303 and "httponly" in cookie and "samesite=lax" in cookie and "secure" not in cookie
    app = create_app(replace(service, remote=True))
    remote = TestClient(app, base_url="https://testserver", follow_redirects=False)
    answer = remote.post("/sign-in", data={"login": "owner", "password": PASSWORD})
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-assent=") and "secure" in cookie.lower()
    assert "max-age" in answer.headers["strict-transport-security"]
    assert remote.get("/").status_code == 200


def test_a_new_session_at_every_sign_in(house: House) -> None:
    client = house.client()
    said = {"login": "owner", "password": PASSWORD}
    client.post("/sign-in", data=said)
    first = client.cookies["assent"]
    client.post("/sign-in", data=said)
    assert client.cookies["assent"] != first
    stolen = house.client()
    stolen.cookies.set("assent", first)
    assert stolen.get("/api/v1/me").status_code == 401, "the session before has ended"


def test_sign_out_here_and_everywhere(house: House) -> None:
    owner = house("owner")
    other = house.client()
    other.post("/sign-in", data={"login": "owner", "password": PASSWORD})
    assert other.get("/api/v1/me").status_code == 200
    owner.post(f"/people/{owner.id}/sign-out", status=204)
    assert other.get("/api/v1/me").status_code == owner.client.get("/api/v1/me").status_code == 401
    assert other.get("/", headers={"accept": "text/html"}).headers["location"] == "/sign-in"
    back = house.client()
    back.post("/sign-in", data={"login": "owner", "password": PASSWORD})
    csrf = back.get("/").text.partition('csrf-token" content="')[2].partition('"')[0]
    assert back.post("/sign-out").status_code == 403
    assert back.post("/sign-out", data={"csrf": csrf}).status_code == 303
    assert back.get("/api/v1/me").status_code == 401


def test_changes_by_cookie_need_the_token(house: House, make_run: MakeRun) -> None:
    make_run()
    ann = house("annotator")
    path = "/api/v1/assignments/next"
    assert ann.client.post(path, json={}).status_code == 403
    assert ann.client.post(path, json={}, headers={"X-CSRF-Token": "wrong"}).status_code == 403
    other = house("owner").headers
    assert ann.client.post(path, json={}, headers=other).status_code == 403, "another session's token does not do"
    for foreign in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        assert ann.client.post(path, json={}, headers={**ann.headers, **foreign}).status_code == 403
        said = {"login": "owner", "password": PASSWORD}
        assert house.client().post("/sign-in", data=said, headers=foreign).status_code == 403
    own = {"Origin": "http://testserver", "Sec-Fetch-Site": "same-origin"}
    assert ann.client.post(path, json={}, headers={**ann.headers, **own}).status_code == 200


def test_signing_in_leads_back_but_never_elsewhere(house: House) -> None:
    asked = house.client().get("/past", headers={"accept": "text/html"})
    assert asked.headers["location"] == "/sign-in?next=%2Fpast"
    for wanted, to in (("/past", "/past"), ("//evil.example", "/"), ("https://evil.example", "/"), ("/\\evil", "/")):
        said = {"login": "owner", "password": PASSWORD, "next": wanted}
        assert house.client().post("/sign-in", data=said).headers["location"] == to


def test_links_work_once_and_in_time(house: House, store: Store, clock: Clock) -> None:
    token = make_link(store, "annotator", hours=1)
    client = house.client()
    assert client.get(f"/link/{token}").status_code == client.get(f"/link/{token}").status_code == 200
    taken = client.post(f"/link/{token}", data={"name": "Owner"})
    assert taken.status_code == 409 and "is taken" in taken.text
    assert client.post(f"/link/{token}", data={"name": "Ann", "password": "short"}).status_code == 422
    assert client.post(f"/link/{token}", data={"name": "Ann"}).status_code == 303
    assert client.get("/api/v1/me").json()["role"] == "annotator"
    assert client.post(f"/link/{token}", data={"name": "Bob"}).status_code == 404
    late = make_link(store, "annotator", hours=1)
    clock.advance(3601)
    assert client.get(f"/link/{late}").status_code == 404
    back = owner_link(store)
    newer = owner_link(store)
    assert client.get(f"/link/{back}").status_code == 404, "a new owner link ends the one before"
    assert house.client().post(f"/link/{newer}").status_code == 303, "the owner who is there comes in again"
    clock.advance(OWNER_LINK_HOURS * 3600)
    assert client.get(f"/link/{owner_link(store)}").status_code == 200


def test_sessions_run_out(house: House, clock: Clock) -> None:
    owner = house("owner")
    clock.advance(SESSION_HOURS * 3600 + 1)
    assert owner.call("GET", "/me").status_code == 401


def test_tokens_have_scopes_and_end(house: House, clock: Clock) -> None:
    owner = house("owner")
    made = owner.post("/tokens", {"name": "script", "scopes": ["read"], "hours": 1}, 201)
    program = house.client()
    program.headers["Authorization"] = f"Bearer {made['token']}"
    assert program.get("/api/v1/campaigns").status_code == 200
    assert program.post("/api/v1/campaigns", json={"title": "x"}).status_code == 403
    assert program.post("/api/v1/assignments/next", json={}).status_code == 403
    more = {"name": "more", "scopes": ["read", "own"]}
    assert program.post("/api/v1/tokens", json=more).status_code == 403
    assert house("annotator").post("/tokens", {"name": "t", "scopes": ["own"]}, 201)
    assert house("annotator").call("DELETE", f"/tokens/{made['id']}").status_code == 404, "it is someone else's"
    owner.done("DELETE", f"/tokens/{made['id']}", status=204)
    assert program.get("/api/v1/campaigns").status_code == 401
    second = owner.post("/tokens", {"name": "script", "scopes": ["read"], "hours": 1}, 201)["token"]
    program.headers["Authorization"] = f"Bearer {second}"
    clock.advance(3601)
    answer = program.get("/api/v1/campaigns")
    assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer"


def test_nothing_secret_is_kept_readable(house: House, store: Store, service: Service) -> None:
    from assent.store import dump_rows

    token = make_link(store, "annotator")
    api = house("owner").post("/tokens", {"name": "t", "scopes": ["read"]}, 201)["token"]
    cookie = house("owner").client.cookies["assent"]
    rows = str(dump_rows(store))
    assert all(secret not in rows for secret in (token, api, cookie, PASSWORD))
    assert "$argon2id$" in rows


def test_rate_limits(service: Service, make_run: MakeRun) -> None:
    make_run(tasks=8)
    now = [0.0]
    limits = RateLimits(lambda: now[0], sign_in=Limit(3, 30.0), submit=Limit(2, 10.0))
    with House(replace(service, limits=limits)) as house:
        client = house.client()
        tries = [client.post("/sign-in", data={"login": "x", "password": "y"}) for _ in range(3)]
        assert [each.status_code for each in tries] == [401, 401, 429], "the owner's own coming in took one"
        assert int(tries[-1].headers["retry-after"]) >= 1
        now[0] += 1000
        owner = house("owner")
        for status in (200, 200, 429):
            owner.submit(owner.next(), status=status)
        now[0] += 5
        owner.submit(owner.next())


def test_bodies_and_hosts(house: House) -> None:
    owner = house("owner")
    big = b'{"title": "' + b"x" * MAX_BODY + b'"}'
    assert owner.client.post("/api/v1/campaigns", content=big, headers=owner.headers).status_code == 413

    def drip():  # type: ignore[no-untyped-def]
        yield from (b"x" * 100_000 for _ in range(30))

    answer = owner.client.post("/api/v1/campaigns", content=drip(), headers=owner.headers)
    assert answer.status_code == 413, "a body that does not say its length is counted"
    assert owner.client.get("/", headers={"Host": "rebound.example"}).status_code == 400


def test_errors_are_pages_or_json(house: House) -> None:
    client = house("annotator").client
    as_page = client.get("/nowhere", headers={"accept": "text/html"})
    assert as_page.status_code == 404 and "<h1>" in as_page.text
    assert client.get("/api/v1/nowhere", headers={"accept": "text/html"}).json()["code"] == "not-found"
    assert client.get("/api/v1/assignments/999999999999999999999").status_code == 422


def test_names_are_escaped(house: House, store: Store) -> None:
    client = house.client()
    client.post(f"/link/{make_link(store, 'annotator')}", data={"name": "<script>alert(1)</script>"})
    page = client.get("/").text
    assert "&lt;script&gt;" in page and "<script>alert" not in page


def test_the_last_owner_stays(house: House) -> None:
    owner, manager = house("owner"), house("manager")
    assert owner.call("PATCH", f"/people/{owner.id}", {"role": "annotator"}).status_code == 409
    assert manager.call("PATCH", f"/people/{owner.id}", {"state": "paused"}).status_code == 403
    assert manager.call("PATCH", f"/people/{manager.id}", {"role": "owner"}).status_code == 403
    assert manager.call("POST", "/links", {"role": "owner"}).status_code == 403
    assert manager.call("POST", f"/people/{owner.id}/link").status_code == 403
    owner.done("PATCH", f"/people/{manager.id}", {"role": "owner"})
    assert owner.call("PATCH", f"/people/{owner.id}", {"role": "annotator"}).status_code == 200
