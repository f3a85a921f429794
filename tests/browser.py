"""Pages in a browser, and what can be asked of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

DESKTOP = {"width": 1280, "height": 900}


@contextmanager
def opened(browser: Any, file: Path, **settings: Any) -> Iterator[tuple[Any, list[str]]]:
    """A page, and what it did that no report does: requests, errors, dialogs, windows."""
    context = browser.new_context(**{"viewport": DESKTOP, **settings})
    context.set_default_timeout(120_000)  # milliseconds: a busy machine is no fault
    faults: list[str] = []

    def is_foreign(url: str) -> bool:
        return not url.startswith(("data:", "blob:", file.as_uri()))

    def note(request: Any) -> None:
        if is_foreign(request.url):
            faults.append(f"it asks for {request.url[:200]}")

    def refuse(route: Any) -> None:
        faults.append(f"it would reach {route.request.url[:200]}")
        route.abort()

    context.on("request", note)
    context.route(is_foreign, refuse)
    page = context.new_page()
    page.on("console", lambda message: faults.append(f"{message.type}: {message.text[:300]}"))
    page.on("pageerror", lambda error: faults.append(f"an error: {error}"))
    page.on("popup", lambda other: faults.append(f"a window: {other.url}"))

    def dismiss(dialog: Any) -> None:
        faults.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    page.on("dialog", dismiss)
    page.goto(file.as_uri())
    yield page, faults
    context.close()


def powers(page: Any) -> dict[str, Any]:
    """What can run or reach out, wherever in a page it stands."""
    found: dict[str, Any] = page.evaluate(POWERS)
    return found


def faint_texts(page: Any) -> list[str]:
    """Visible texts whose contrast with what is behind them is below 4.5 (WCAG 2.2, 1.4.3)."""
    found: list[str] = page.evaluate(FAINT)
    return found


def accessible_names(page: Any) -> list[tuple[str, str]]:
    """Role and name of all that must have one, as the browser tells a screen reader."""
    tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    found = [
        (node["role"]["value"], node.get("name", {}).get("value", "").strip())
        for node in tree
        if not node["ignored"]
    ]
    return [(role, name) for role, name in found if role in NAMED]


NAMED = {"link", "button", "slider", "checkbox", "combobox", "textbox", "DisclosureTriangle"}
NAMED |= {"image", "table", "region", "navigation"}


POWERS = """() => ({
  elements: [...new Set([...document.querySelectorAll("*")].map((each) => each.localName))]
    .filter((name) => /^(script|iframe|frame|object|embed|base|link|form|meta|style|img|svg)$/
      .test(name)).sort(),
  scripts: document.scripts.length,
  handlers: [...document.querySelectorAll("*")].flatMap((each) => each.getAttributeNames())
    .filter((name) => name.startsWith("on")),
  addresses: [...new Set([...document.querySelectorAll("[src], [href]")]
    .map((each) => each.getAttribute("src") ?? each.getAttribute("href"))
    .map((address) => /^(#|data:|blob:)/.exec(address)?.[0] ?? address))].sort(),
})"""

FAINT = """() => {
  const pen = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
  const rgba = (colour) => {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = colour;
    pen.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = ([r, g, b, a], below) =>
    [...[r, g, b].map((part, i) => part * a + below[i] * (1 - a)), 1];
  const around = (each) => each ? [each, ...around(each.parentElement)] : [];
  const behind = (each) => around(each).reverse()
    .reduce((below, one) => over(rgba(getComputedStyle(one).backgroundColor), below),
      [255, 255, 255, 1]);
  const linear = (part) => part <= 10 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (texts.nextNode()) {
    const each = texts.currentNode.parentElement;
    const words = texts.currentNode.data.trim();
    if (!words || !each.checkVisibility({visibilityProperty: true})) continue;
    const style = getComputedStyle(each);
    const [r, g, b, a] = rgba(each instanceof SVGElement ? style.fill : style.color);
    const opacity = around(each).reduce((all, one) => all * getComputedStyle(one).opacity, a);
    const below = behind(each);
    const pair = [light(over([r, g, b, opacity], below)), light(below)].sort((x, y) => y - x);
    const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
    if (ratio < 4.5) found.push(`${words.slice(0, 40)}: ${ratio.toFixed(2)}`);
  }
  return found;
}"""
