/** Functions that tests evaluate in a page. */

/** Returns whether an element has the focus. */
export const hasFocus = (element) => element === document.activeElement;

/** Returns the scroll width of the page. */
export const width = () => document.documentElement.scrollWidth;

/** Returns texts that extend beyond the screen, except code, which scrolls. */
export function cutOff() {
  const found = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const range = document.createRange();
    range.selectNodeContents(texts.currentNode);
    const inCode = texts.currentNode.parentElement.closest("pre");
    if (!inCode && range.getBoundingClientRect().right > innerWidth) found.push(String(range));
  }
  return found;
}

/** Shows the sign-in form. */
export const showSignIn = () => void (document.getElementById("sign-in").hidden = false);

/** Returns controls, tables and sections without an accessible name. */
export function nameless() {
  const named = (element) =>
    [
      element.ariaLabel,
      element.getAttribute("aria-labelledby"),
      element.labels?.[0]?.textContent,
      element.querySelector("caption")?.textContent,
      /^(BUTTON|A)$/.test(element.tagName) && element.textContent,
    ].some((name) => name && name.trim() !== "");
  return [...document.querySelectorAll("input, button, a, table, section, [role=log], main ul")]
    .filter((element) => !named(element)).map((element) => element.outerHTML);
}

/** Returns elements whose text has less than the contrast of 4.5 to 1 required by WCAG. */
export function pale() {
  const parts = (color) => color.match(/[\d.]+/g).map(Number);
  const luminance = (color) => {
    const [r, g, b] = parts(color).map((value) =>
      value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4
    );
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    const color = getComputedStyle(element).backgroundColor;
    return parts(color)[3] === 0 ? behind(element.parentElement) : color;
  };
  const contrast = (element) => {
    const both = [luminance(getComputedStyle(element).color), luminance(behind(element))];
    return (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
  };
  const isRead = (element) =>
    element.checkVisibility() &&
    [...element.childNodes].some((node) =>
      node.nodeType === Node.TEXT_NODE && node.textContent.trim() !== ""
    );
  return [...document.body.querySelectorAll("*")].filter((element) =>
    isRead(element) && contrast(element) < 4.5
  )
    .map((element) => `${contrast(element).toFixed(2)}: ${element.outerHTML}`);
}
