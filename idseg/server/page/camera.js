// The camera dialog: resolves with a JPEG, or null if cancelled; rejects if there is no camera.

import { $ } from "./words.js";

const COUNT = 3; // seconds

async function streamOf(camera) {
  if (!navigator.mediaDevices) throw new Error("no camera without https");
  return navigator.mediaDevices.getUserMedia({ audio: false, video: { ...camera, width: { ideal: 2560 }, height: { ideal: 1920 } } });
}

const stop = (stream) => stream.getTracks().forEach((track) => track.stop());
const settingsOf = (stream) => stream.getVideoTracks()[0].getSettings();
const cameras = async () => (await navigator.mediaDevices.enumerateDevices()).filter((device) => device.kind === "videoinput");

/** Another camera than that of `stream`, which is stopped: on a phone the one of the other side, else the next of the list; the same where the other fails. */
async function another(stream) {
  const { deviceId, facingMode } = settingsOf(stream), list = await cameras();
  const next = { deviceId: { exact: list[(list.findIndex((camera) => camera.deviceId === deviceId) + 1) % list.length].deviceId } };
  stop(stream); // a phone opens one at a time
  if (!facingMode) return streamOf(next).catch(() => streamOf({ deviceId }));
  const found = await streamOf({ facingMode: facingMode === "user" ? "environment" : "user" }).catch(() => streamOf(next));
  if (settingsOf(found).deviceId !== deviceId) return found;
  stop(found);
  return streamOf(next).catch(() => streamOf({ deviceId }));
}

export async function openCamera() {
  const dialog = $("camera"), video = $("video"), shutter = $("camera-shoot"), timer = $("camera-timer"), other = $("camera-switch");
  let stream = await streamOf({ facingMode: "user" }), photo = null, counting = 0;
  const show = async () => {
    video.srcObject = stream;
    video.parentElement.classList.toggle("rear", settingsOf(stream).facingMode === "environment");
    await video.play();
  };
  other.hidden = (await cameras()).length < 2;
  await show();
  dialog.showModal();
  return new Promise((resolve) => {
    const shoot = async () => {
      const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
      canvas.getContext("2d").drawImage(video, 0, 0); // the preview is a mirror, the photo is not
      photo = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.95 });
      dialog.close();
    };
    const count = (left) => {
      $("countdown").textContent = left || "";
      if (left) counting = setTimeout(() => count(left - 1), 1000);
      else shoot();
    };
    const stopCounting = () => {
      clearTimeout(counting);
      $("countdown").textContent = "";
    };
    shutter.onclick = () => {
      clearTimeout(counting);
      count(timer.getAttribute("aria-pressed") === "true" ? COUNT : 0);
    };
    timer.onclick = () => timer.setAttribute("aria-pressed", String(timer.getAttribute("aria-pressed") !== "true"));
    other.onclick = async () => {
      stopCounting();
      shutter.disabled = other.disabled = true;
      try {
        stream = await another(stream);
        if (dialog.open) await show();
        else stop(stream); // closed meanwhile
      } catch {
        dialog.close(); // no camera is left
      }
      shutter.disabled = other.disabled = false;
    };
    $("camera-close").onclick = () => dialog.close();
    dialog.onclose = () => {
      stopCounting();
      stop(stream);
      video.srcObject = null;
      resolve(photo);
    };
  });
}
