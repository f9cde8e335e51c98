// Where pictures come from: a camera, a file that was dropped, a picture of this site.

/** No picture, and why: a sentence for whoever sits before the page. */
export class SourceError extends Error {}

// What a texture may measure on nearly every device; larger photos are shrunk to it.
const MOST_PIXELS_A_SIDE = 4096;

const CAMERA = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 }, facingMode: "user" };

const REFUSALS = {
  NotAllowedError: "The camera was refused: allow it beside the address, or open a photo or a video.",
  NotFoundError: "There is no camera here: open a photo or a video.",
  NotReadableError: "The camera is in use by another program: close that one, or open a photo or a video.",
};

/** A picture that stands still. */
class Still {
  /** @param {ImageBitmap} element @param {string} label */
  constructor(element, label) {
    this.element = element;
    this.label = label;
    this.moving = false;
    this.mirrored = false;
    this.width = element.width;
    this.height = element.height;
  }

  close() {
    this.element.close();
  }
}

/** A film or a camera. */
class Moving {
  #ended;
  #release;

  /**
   * @param {HTMLVideoElement} element which plays.
   * @param {string} label
   * @param {boolean} mirrored shown as in a mirror.
   * @param {() => void} release frees what the element plays.
   */
  constructor(element, label, mirrored, release) {
    this.element = element;
    this.label = label;
    this.moving = true;
    this.mirrored = mirrored;
    this.#ended = new Promise((resolve) => {
      this.#release = () => {
        release();
        resolve();
      };
    });
  }

  get width() {
    return this.element.videoWidth;
  }

  get height() {
    return this.element.videoHeight;
  }

  /** Resolves when there is another frame, or none will come. */
  next() {
    const frame = new Promise((resolve) => {
      if ("requestVideoFrameCallback" in this.element) this.element.requestVideoFrameCallback(resolve);
      else requestAnimationFrame(resolve);
    });
    return Promise.race([frame, this.#ended]);
  }

  close() {
    this.element.pause();
    this.#release();
  }
}

/**
 * Ask for a camera.
 *
 * @param {() => void} onLost called when it is unplugged.
 * @returns {Promise<Moving>}
 * @throws {SourceError} there is none, or it was refused.
 */
export async function openCamera(onLost) {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new SourceError("Browsers give the camera to https pages and to localhost only: open a photo or a video.");
  }
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: CAMERA, audio: false });
  } catch (error) {
    throw new SourceError(REFUSALS[error.name] ?? `The camera does not start (${error.message}): open a photo.`);
  }
  for (const track of stream.getTracks()) track.addEventListener("ended", onLost);
  const element = await playing((video) => {
    video.srcObject = stream;
  });
  return new Moving(element, "camera", true, () => {
    for (const track of stream.getTracks()) track.stop();
  });
}

/**
 * A photo or a film of the user's; it stays on this machine.
 *
 * @param {File} file
 * @throws {SourceError} neither.
 */
export async function openFile(file) {
  return file.type.startsWith("video/") ? openFilm(file) : openPhoto(file, file.name);
}

/**
 * A picture of this site.
 *
 * @param {string} address
 * @param {string} label
 * @throws {SourceError} it is not there, or no picture.
 */
export async function openAddress(address, label) {
  const response = await fetch(address);
  if (!response.ok) throw new SourceError(`${address} is missing from this site.`);
  return openPhoto(await response.blob(), label);
}

async function openPhoto(blob, label) {
  try {
    const bitmap = await createImageBitmap(blob);
    const shrink = MOST_PIXELS_A_SIDE / Math.max(bitmap.width, bitmap.height);
    if (shrink >= 1) return new Still(bitmap, label);
    const [resizeWidth, resizeHeight] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * shrink)));
    const smaller = await createImageBitmap(bitmap, { resizeWidth, resizeHeight, resizeQuality: "high" });
    bitmap.close();
    return new Still(smaller, `${label}, shrunk to ${resizeWidth} x ${resizeHeight}`);
  } catch {
    throw new SourceError(`${label} is no photo or video that this browser can read: try JPEG, PNG or MP4.`);
  }
}

async function openFilm(file) {
  const address = URL.createObjectURL(file);
  try {
    const element = await playing((video) => {
      video.src = address;
      video.loop = true;
    });
    return new Moving(element, file.name, false, () => URL.revokeObjectURL(address));
  } catch {
    URL.revokeObjectURL(address);
    throw new SourceError(`${file.name} is no video that this browser can play: try MP4 (H.264) or WebM.`);
  }
}

/** A video element that has begun to play what it was given. */
async function playing(give) {
  const video = document.createElement("video");
  video.muted = true;
  video.playsInline = true;
  give(video);
  await video.play();
  return video;
}
