// The camera dialog: resolves with a JPEG, or null when cancelled; rejects where there is no camera.

const $ = (id) => document.getElementById(id);

export async function openCamera() {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: false, video: { facingMode: "user", width: { ideal: 1920 }, height: { ideal: 1440 } } });
  const dialog = $("camera"), video = $("video");
  video.srcObject = stream;
  await video.play();
  dialog.showModal();
  return new Promise((resolve) => {
    let photo = null;
    $("camera-shoot").onclick = async () => {
      const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
      canvas.getContext("2d").drawImage(video, 0, 0); // the preview is a mirror, the photo is not
      photo = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.95 });
      dialog.close();
    };
    $("camera-close").onclick = () => dialog.close();
    dialog.onclose = () => {
      for (const track of stream.getTracks()) track.stop();
      video.srcObject = null;
      resolve(photo);
    };
  });
}
