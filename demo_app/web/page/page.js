// The page: ties sources, network, compositor and controls together, and says in a sentence what does not work.

import { chooseCompositor } from "./compositor.js";
import { settingsOf } from "./controls.js";
import { Player } from "./player.js";
import { Portrait } from "./portrait.js";
import { openSession } from "./session.js";
import { SourceError, openAddress, openCamera, openFile } from "./sources.js";
import { Statistics } from "./statistics.js";

const [stage, status, notes] = ["#stage", "#status", "#notes"].map((name) => document.querySelector(name));
const statistics = new Statistics();

/** Say something for good; the same sentence once. */
function note(sentence) {
  if ([...notes.children].some((item) => item.textContent === sentence)) return;
  notes.append(Object.assign(document.createElement("li"), { textContent: sentence }));
}

/** Say what is wrong with a source, in place of what was said of the one before; nothing: forget that. */
function noteSource(sentence) {
  notes.querySelector(".source")?.remove();
  if (!sentence) return;
  notes.append(Object.assign(document.createElement("li"), { className: "source", textContent: sentence }));
}

async function main() {
  const session = await openSession("model/model.json", "vendor/litert/wasm/");
  if (!globalThis.crossOriginIsolated) {
    note(
      "This page may not share memory between threads (no SharedArrayBuffer), so the network runs on one thread: " +
        "serve it with the headers COOP and COEP, as edge-deeplab web --serve does.",
    );
  }
  const portrait = new Portrait(session);
  const settings = settingsOf(document, () => portrait.draw(settings()));
  const player = new Player(async (source) => {
    const began = performance.now();
    await portrait.look(source);
    const found = performance.now();
    portrait.draw(settings());
    const drawn = performance.now();
    statistics.add(drawn, found - began, drawn - found);
    stage.classList.toggle("mirrored", source.mirrored);
    document.body.dataset.shown = source.label;
    report(source, session, portrait.compositor.name);
  });
  chooseCompositor(note, (compositor) => {
    portrait.compositor = compositor;
    stage.replaceChildren(compositor.canvas);
    portrait.draw(settings());
    if (player.source !== null) report(player.source, session, compositor.name);
  });

  // What cannot be opened leaves on the stage what is there; what ends in the middle makes way for the page's photo.
  const show = async (opening) => {
    let opened = false;
    try {
      const source = await opening;
      opened = true;
      statistics.reset();
      await player.play(source);
    } catch (error) {
      if (!(error instanceof SourceError)) return fail(error);
      noteSource(error.message);
      if (opened) await sample();
    }
  };
  const sample = () => show(openAddress("sample.jpg", "the photo of this page"));
  wire((opening) => {
    noteSource();
    return show(opening);
  });
  document.querySelector("#snapshot").addEventListener("click", () => {
    portrait.draw(settings()); // a canvas may be empty again after it was shown
    portrait.compositor.canvas.toBlob(save, "image/png");
  });
  for (const control of document.querySelectorAll("[disabled]")) control.disabled = false;
  await sample();
}

/** The ways that pictures come in. */
function wire(show) {
  const chooser = document.querySelector("#file");
  document.querySelector("#camera").addEventListener("click", () => show(openCamera()));
  document.querySelector("#open").addEventListener("click", () => chooser.click());
  chooser.addEventListener("change", () => {
    if (chooser.files.length > 0) show(openFile(chooser.files[0]));
    chooser.value = ""; // so that the same file can be chosen again
  });
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files.length > 0) show(openFile(event.dataTransfer.files[0]));
    else noteSource("What was dropped is no file: save it first, and drop that, or open it.");
  });
}

function report(source, session, compositor) {
  const { fps, network, drawing } = statistics.means;
  const threads = session.threads === 1 ? "1 thread" : `${session.threads} threads`;
  const rate = source.moving ? `${fps.toFixed(1)} frames a second, ` : "";
  status.textContent =
    `${source.label}, ${source.width} x ${source.height}: ${rate}network ${network.toFixed(0)} ms on ${threads}, ` +
    `picture ${drawing.toFixed(0)} ms by ${compositor}`;
}

function save(blob) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: "portrait.png" });
  link.click();
  // The browser reads the address after this returns: taken back at once, now and then no file was saved.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function fail(error) {
  console.error(error);
  status.textContent = "It does not work here.";
  note(`The page failed (${error.message}): load it again, or try a newer browser.`);
}

main().catch(fail);
