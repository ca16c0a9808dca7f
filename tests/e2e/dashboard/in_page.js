/** Functions that tests run in pages, so that the DOM's types are not in the program. */

/** Returns the texts that an element shows during a time. */
export async function textsDuring(element, ms) {
  const seen = new Set();
  for (const end = performance.now() + ms; performance.now() < end;) {
    seen.add(element.textContent);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return [...seen];
}
