// What the person before the page can set.

const WEAKEST = 16;
const STEPS_A_STOP = 3;

/** The f-number of the slider's position: f/16 at 0, and each third of a stop from there one step, as on a lens. */
function fNumberOf(position) {
  return WEAKEST / Math.SQRT2 ** (position / STEPS_A_STOP);
}

/**
 * Tie the settings to the page.
 *
 * @param {Document} page with #aperture, #aperture-value, the radio buttons named "view", and #stage.
 * @param {() => void} onChange called after each change.
 * @returns {() => import("./portrait.js").Settings} the settings as they are now.
 */
export function settingsOf(page, onChange) {
  const slider = page.querySelector("#aperture");
  const value = page.querySelector("#aperture-value");
  const stage = page.querySelector("#stage");
  let divider = 0.5;

  const written = () => {
    value.textContent = `f/${fNumberOf(slider.valueAsNumber).toFixed(1)}`;
  };
  written();
  slider.addEventListener("input", () => {
    written();
    onChange();
  });
  for (const button of page.querySelectorAll("input[name=view]")) button.addEventListener("change", onChange);

  const view = () => page.querySelector("input[name=view]:checked").value;
  const dragged = (event) => {
    if (view() !== "compare" || (event.type === "pointermove" && event.buttons === 0)) return;
    const box = stage.firstElementChild.getBoundingClientRect();
    const share = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
    divider = stage.classList.contains("mirrored") ? 1 - share : share;
    onChange();
  };
  stage.addEventListener("pointerdown", dragged);
  stage.addEventListener("pointermove", dragged);
  return () => ({ fNumber: fNumberOf(slider.valueAsNumber), view: view(), divider });
}
