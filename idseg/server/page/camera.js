// The camera dialog: resolves with a JPEG, or null if cancelled; rejects if there is no camera.

import { $ } from "./words.js";

const COUNT = 3; // seconds

async function streamOf(facingMode) {
  if (!navigator.mediaDevices) throw new Error("no camera without https");
  return navigator.mediaDevices.getUserMedia({ audio: false, video: { facingMode, width: { ideal: 2560 }, height: { ideal: 1920 } } });
}

const stop = (stream) => stream.getTracks().forEach((track) => track.stop());

export async function openCamera() {
  const dialog = $("camera"), video = $("video");
  let facing = "user", stream = await streamOf(facing), photo = null, counting = 0;
  const show = async () => {
    video.srcObject = stream;
    video.parentElement.classList.toggle("rear", facing !== "user");
    await video.play();
  };
  const cameras = (await navigator.mediaDevices.enumerateDevices()).filter((device) => device.kind === "videoinput");
  $("camera-switch").hidden = cameras.length < 2;
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
    const timer = $("camera-timer");
    $("camera-shoot").onclick = () => {
      clearTimeout(counting);
      count(timer.getAttribute("aria-pressed") === "true" ? COUNT : 0);
    };
    timer.onclick = () => timer.setAttribute("aria-pressed", String(timer.getAttribute("aria-pressed") !== "true"));
    $("camera-switch").onclick = async () => {
      facing = facing === "user" ? "environment" : "user";
      stop(stream);
      stream = await streamOf(facing).catch(() => streamOf("user"));
      await show();
    };
    $("camera-close").onclick = () => dialog.close();
    dialog.onclose = () => {
      clearTimeout(counting);
      $("countdown").textContent = "";
      stop(stream);
      video.srcObject = null;
      resolve(photo);
    };
  });
}
