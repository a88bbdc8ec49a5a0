"""The page, used as people use it, in a real browser with a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Route, expect
from serving import DEMO, Server

pytestmark = pytest.mark.slow

EULER = DEMO / "02-euler.png"
ENERGY = DEMO / "12-energy.tiff"
GAUSS = DEMO / "08-gauss.png"
READ = "textarea.latex"
# Under the load of other tests a reading can take long.
PATIENCE_MS = 120_000

DROP_OR_PASTE = """
async ([kind, address]) => {
  const blob = await (await fetch(address)).blob();
  const data = new DataTransfer();
  data.items.add(new File([blob], "given.png", { type: blob.type }));
  if (kind === "drag") {
    document.body.dispatchEvent(new DragEvent("dragenter", { dataTransfer: data, bubbles: true }));
  } else {
    const drop = { dataTransfer: data, bubbles: true, cancelable: true };
    document.body.dispatchEvent(new DragEvent("drop", drop));
  }
}
"""
PICTURE_TO_CLIPBOARD = """
async () => {
  const blob = await (await fetch("/example.png")).blob();
  await navigator.clipboard.write([new ClipboardItem({ "image/png": blob })]);
}
"""


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    """The page in a fresh browser profile; the test fails on any error in its console."""
    context = browser.new_context(
        viewport={"width": 1200, "height": 900},
        permissions=["clipboard-read", "clipboard-write"],
        base_url=server.url,
    )
    opened = context.new_page()
    opened.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    opened.goto("/")
    yield opened
    context.close()
    # The browser reports answers such as 422, which the page shows to the user, as errors too.
    assert [error for error in errors if "Failed to load resource" not in error] == []


def give(page: Page, *pictures: Path) -> None:
    """Choose files, and wait until they are read."""
    count = page.locator(READ).count()
    page.set_input_files("#choose", list(pictures))
    expect(page.locator(".done:not([hidden])")).to_have_count(count + len(pictures))


def clipboard(page: Page) -> str:
    text: str = page.evaluate("navigator.clipboard.readText()")
    return text


def test_paste(page: Page) -> None:
    page.evaluate(PICTURE_TO_CLIPBOARD)
    page.keyboard.press("Control+v")
    expect(page.locator(READ)).not_to_have_value("")
    expect(page.locator(".rendered")).to_be_visible()
    page.get_by_role("button", name="Paste").click()
    expect(page.locator(".done:not([hidden])")).to_have_count(2)


def test_pasting_text_is_answered(page: Page) -> None:
    page.evaluate("navigator.clipboard.writeText('x')")
    page.keyboard.press("Control+v")
    expect(page.get_by_role("alert")).to_contain_text("no picture in the clipboard")


def test_drag(page: Page) -> None:
    page.evaluate(DROP_OR_PASTE, ["drag", "/example.png"])
    expect(page.get_by_text("Drop to read")).to_be_visible()
    page.evaluate(DROP_OR_PASTE, ["drop", "/example.png"])
    expect(page.get_by_text("Drop to read")).to_be_hidden()
    expect(page.locator(READ)).not_to_have_value("")
    expect(page.get_by_role("heading", name="given.png")).to_be_visible()


def test_edit_with_live_preview(page: Page) -> None:
    give(page, GAUSS)
    rendered = page.locator(".rendered")
    editor = page.get_by_label("LaTeX", exact=True)
    expect(rendered).to_have_attribute("alt", f"The formula {editor.input_value()}")
    editor.fill(r"\frac{1}{2}")
    expect(rendered).to_have_attribute("alt", r"The formula \frac{1}{2}")
    editor.fill(r"\frac{1}{")
    expect(page.get_by_role("alert").filter(has_text="cannot be rendered")).to_be_visible()
    expect(rendered).to_have_class("rendered stale")
    editor.fill(r"\frac{1}{3}")
    expect(rendered).to_have_class("rendered")
    editor.press("Control+Enter")
    expect(page.get_by_role("status")).to_contain_text("Copied")
    assert clipboard(page) == r"\frac{1}{3}"


def test_uncertain_tokens_are_marked_and_stay_in_place(page: Page) -> None:
    tokens = [(r"\alpha", -2), (" ^", 0), (" {", -3), (r" \prime", 0), (" }", 0), (" +", 0),
              (r" \beta", -0.4), (" =", 0), (" 1", 0), (" ^", 0), (" {", 0), (" 2", 0), (" }", 0)]  # fmt: skip
    reading = {
        "latex": r"\alpha' + \beta = 1^{2}",
        "confidence": 0.6,
        "warnings": ["loop"],
        "messages": ["The answer repeats itself."],
        "tokens": [{"text": text, "logprob": logprob} for text, logprob in tokens],
    }
    page.route("**/v1/read", lambda route: route.fulfill(json={"readings": [reading]}))
    give(page, EULER)
    expect(page.locator(".warnings")).to_have_text("The answer repeats itself.")
    expect(page.locator(".sureness")).to_have_attribute("data-level", "low")
    marks = page.locator("mark")
    expect(marks).to_have_text([r"\alpha", r"\beta"])
    expect(page.locator("mark.much")).to_have_text([r"\alpha"])
    page.get_by_role("button", name="2 doubtful spots").click()
    page.keyboard.type("a")
    expect(marks).to_have_text([r"\beta"])
    page.get_by_role("button", name="1 doubtful spot").click()
    editor = page.locator(READ)
    selected = editor.evaluate("e => e.value.slice(e.selectionStart, e.selectionEnd)")
    assert selected == r"\beta"
    expect(editor).to_have_value(r"a' + \beta = 1^{2}")


@pytest.mark.parametrize(
    ("button", "copied"),
    [
        ("Copy LaTeX", "x^{2}"),
        ("Copy as LaTeX within a line", "$x^{2}$"),
        ("Copy as displayed LaTeX", r"\[ x^{2} \]"),
        ("Copy as Markdown", "$$\nx^{2}\n$$"),
        ("Copy as MathML", "<msup>"),
        ("Copy as Typst", "x^2"),
    ],
)
def test_copy(page: Page, button: str, copied: str) -> None:
    give(page, EULER)
    page.locator(READ).fill("x^{2}")
    page.get_by_role("button", name=button, exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("Copied.")
    text = clipboard(page)
    assert (
        text == copied if button != "Copy as MathML" and "Typst" not in button else copied in text
    )


def test_copy_a_picture_and_save(page: Page) -> None:
    give(page, EULER)
    page.get_by_role("button", name="Copy as a picture").click()
    expect(page.get_by_role("status")).to_contain_text("Picture copied")
    kinds = page.evaluate("navigator.clipboard.read().then((items) => items[0].types)")
    assert kinds == ["image/png"]
    for kind, start in [("SVG", b"<svg"), ("PNG", b"\x89PNG"), ("a Word document", b"PK")]:
        with page.expect_download() as download:
            page.get_by_role("button", name=f"Save as {kind}").click()
        assert Path(download.value.path()).read_bytes().startswith(start)


def test_errors_are_sentences(page: Page, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(EULER.read_bytes()[:300])
    page.set_input_files("#choose", damaged)
    failure = page.locator(".failure")
    expect(failure).to_contain_text("damaged")
    page.locator(".remove").click()
    expect(page.get_by_role("heading", name="A picture of a formula")).to_be_visible()

    page.route("**/v1/read", lambda route: route.abort())
    page.set_input_files("#choose", EULER)
    expect(failure).to_contain_text("cannot be reached")
    page.unroute("**/v1/read")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(READ)).not_to_have_value("")
    expect(failure).to_be_hidden()

    text = tmp_path / "text.txt"
    text.write_text("no picture")
    page.set_input_files("#choose", text)
    expect(page.locator("#notice")).to_contain_text("Only pictures")


def test_a_picture_beyond_the_limits_is_made_smaller(page: Page, tmp_path: Path) -> None:
    large = tmp_path / "large.png"
    with Image.open(GAUSS) as gauss:
        gauss.convert("L").resize((8000, 5000)).save(large)
    give(page, large)
    expect(page.locator(".failed")).to_be_hidden()


def test_a_busy_server_is_asked_again(page: Page) -> None:
    tries = []

    def busy_at_first(route: Route) -> None:
        tries.append(route)
        if len(tries) > 1:
            route.continue_()
        else:
            route.fulfill(status=503, headers={"Retry-After": "1"}, json={"detail": "Busy."})

    page.route("**/v1/read", busy_at_first)
    give(page, EULER)
    assert len(tries) == 2


def test_several_pictures_in_their_order_with_progress(page: Page) -> None:
    progress: list[str] = []
    page.expose_function("noted", lambda text: progress.append(text))
    page.evaluate(
        "new MutationObserver(() => noted(document.getElementById('progress-text').textContent))"
        ".observe(document.getElementById('progress-text'), { childList: true })"
    )
    give(page, EULER, ENERGY, GAUSS)
    expect(page.locator(".name")).to_have_text([EULER.name, ENERGY.name, GAUSS.name])
    expect(page.locator("#progress")).to_be_hidden()
    assert progress[0] == "0 of 3 read"
    assert "2 of 3 read" in progress


def test_history_stays_in_the_browser(page: Page) -> None:
    give(page, EULER)
    page.locator(READ).fill("a + b")
    expect(page.locator(".rendered")).to_have_attribute("alt", "The formula a + b")
    page.wait_for_timeout(1500)  # it is kept a moment after the last key
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    page.reload()
    earlier = page.get_by_role("button", name="Open 02-euler.png: a + b")
    earlier.click()
    expect(page.locator(READ)).to_have_value("a + b")
    expect(page.locator(".picture")).to_be_visible()
    expect(page.locator(".rendered")).to_be_visible()
    assert not [url for url in sent if url.endswith("/v1/read")]
    page.locator(".remove").click()
    expect(earlier).to_be_visible()
    page.get_by_role("button", name="Delete all").click()
    expect(earlier).to_be_hidden()
    page.reload()
    expect(earlier).to_be_hidden()


def luminance(page: Page) -> float:
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    red, green, blue = (int(part) for part in colour.removeprefix("rgb(").rstrip(")").split(","))
    return (red + green + blue) / 765


def test_light_and_dark(page: Page) -> None:
    assert luminance(page) > 0.9
    page.emulate_media(color_scheme="dark")
    assert luminance(page) < 0.2
    theme = page.get_by_role("button", name="Colours")
    theme.click()
    expect(theme).to_have_text("Colours: light")
    assert luminance(page) > 0.9
    theme.click()
    page.emulate_media(color_scheme="light")
    page.reload()
    expect(theme).to_have_text("Colours: dark")
    assert luminance(page) < 0.2


def test_phone_width(page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    give(page, ENERGY, GAUSS)
    expect(page.locator(".rendered").nth(1)).to_be_visible()
    page.locator(READ).nth(1).fill("+".join(["x"] * 200))
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.locator("#camera").get_attribute("capture") == "environment"
    small = page.evaluate(
        "[...document.querySelectorAll('button, .button')].filter((e) => e.offsetHeight"
        " && e.offsetHeight < 32).map((e) => e.textContent)"
    )
    assert small == []  # nothing too small for a finger


def test_keyboard_alone(page: Page) -> None:
    focused = "document.activeElement.id || document.activeElement.textContent"
    reached = []
    for _ in range(6):
        page.keyboard.press("Tab")
        reached.append(page.evaluate(focused))
    assert "choose" in reached
    assert reached[-1] == "example"
    page.keyboard.press("Enter")
    expect(page.locator(READ)).not_to_have_value("")
    page.locator(".remove").focus()
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "Copy LaTeX":
            break
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Copied")
    unnamed = page.evaluate(
        "[...document.querySelectorAll('button, input, textarea, img')].filter((e) => !e.labels?.length"
        " && !e.textContent.trim() && !e.getAttribute('aria-label') && e.getAttribute('alt') === null)"
        ".map((e) => e.outerHTML)"
    )
    assert unnamed == []


def test_hostile_names_and_formulas_are_only_text(page: Page, tmp_path: Path) -> None:
    picture = tmp_path / "<img src=x onerror=alert(1)>.png"
    picture.write_bytes(EULER.read_bytes())
    page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    give(page, picture)
    expect(page.locator(".name")).to_have_text(picture.name)
    page.locator(READ).fill(r"\text{<script>alert(1)</script>}\href{javascript:alert(1)}{x}")
    page.wait_for_timeout(600)
    assert page.locator("script").count() == 1


def test_a_token_is_asked_for(page: Page) -> None:
    def guarded(route: Route) -> None:
        if route.request.headers.get("authorization") == "Bearer right":
            route.continue_()
        else:
            route.fulfill(status=401, json={"detail": "A token is needed."})

    page.route("**/v1/re*", guarded)
    page.set_input_files("#choose", EULER)
    page.get_by_label("Token", exact=True).fill("wrong")
    page.keyboard.press("Enter")
    page.get_by_label("Token", exact=True).fill("right")
    page.get_by_role("button", name="Continue").click()
    expect(page.locator(READ)).not_to_have_value("")


def test_an_address_may_bring_the_token(page: Page, server: Server) -> None:
    page.goto("/#token=brought")
    expect(page).to_have_url(f"{server.url}/")
    with page.expect_request("**/v1/read") as asked:
        give(page, EULER)
    assert asked.value.headers["authorization"] == "Bearer brought"


def test_the_description_of_the_api(page: Page) -> None:
    described = page.request.get("/openapi.json").json()["paths"].values()
    page.goto("/docs")
    expect(page.get_by_text("POST/v1/read")).to_be_visible()
    expect(page.locator(".operation")).to_have_count(sum(map(len, described)), timeout=10_000)
    expect(page.get_by_text("logprob", exact=True).first).to_be_visible()
