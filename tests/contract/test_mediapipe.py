"""The MediaPipe backend: what it finds, in which coordinates, from many threads, and that nobody hears it.

The portrait is scikit-image's astronaut (NASA, public domain, 512x512): face at about (173, 67), 103 px wide.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from skimage.data import astronaut

from idseg.errors import DependencyError, ModelDamagedError, ModelMissingError, OptionError, PhotoTypeError
from idseg.models import mediapipe_library
from idseg.models.manifest import Manifest, load_manifest
from idseg.models.mediapipe import FaceDetector, FaceLandmarker, PoseLandmarker
from idseg.types import FaceDetection, Rgb

pytestmark = pytest.mark.weights

EYES = ((203.0, 104.0), (247.0, 107.0))
"""Where a person sees the pupils in the portrait, the picture's left one first, px."""
NEAR_PX = 8.0
MESH_RIGHT_EYE, MESH_LEFT_EYE, MESH_NOSE_TIP, MESH_FOREHEAD, MESH_CHIN = (33, 133), (362, 263), 1, 10, 152
POSE_NOSE, POSE_LEFT_SHOULDER, POSE_RIGHT_SHOULDER = 0, 11, 12


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    return load_manifest()


@pytest.fixture(scope="module")
def portrait() -> Rgb:
    picture: Rgb = astronaut()  # type: ignore[no-untyped-call]
    return picture


@pytest.fixture(scope="module", params=["short", "full"])
def faces(request: pytest.FixtureRequest, manifest: Manifest) -> Iterator[FaceDetector]:
    with FaceDetector(manifest, request.param) as detector:
        yield detector


@pytest.fixture(scope="module")
def meshes(manifest: Manifest) -> Iterator[FaceLandmarker]:
    with FaceLandmarker(manifest) as landmarker:
        yield landmarker


@pytest.fixture(scope="module")
def poses(manifest: Manifest) -> Iterator[PoseLandmarker]:
    with PoseLandmarker(manifest) as landmarker:
        yield landmarker


def empty_pictures() -> dict[str, Rgb]:
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    ramp = np.repeat(np.linspace(0, 255, 400).astype(np.uint8)[None, :, None], 300, 0).repeat(3, 2)
    return {
        "black": np.zeros((300, 400, 3), np.uint8),
        "white": np.full((300, 400, 3), 255, np.uint8),
        "ramp": ramp,
        "noise": noise,
    }


def near(a: tuple[float, float], b: tuple[float, float], px: float = NEAR_PX) -> bool:
    return float(np.hypot(a[0] - b[0], a[1] - b[1])) <= px


class TestFaceDetector:
    def test_finds_the_face_where_it_is(self, faces: FaceDetector, portrait: Rgb) -> None:
        (face,) = faces(portrait)
        assert face.score > 0.8
        assert near(face.left_eye, EYES[0])
        assert near(face.right_eye, EYES[1])
        assert face.left_ear[0] < face.left_eye[0] < face.nose_tip[0] < face.right_eye[0] < face.right_ear[0]
        assert face.left_eye[1] < face.nose_tip[1] < face.mouth[1]
        assert face.box.left < face.left_eye[0]
        assert face.box.right > face.right_eye[0]

    def test_a_mirrored_picture_mirrors_the_points_and_swaps_left_and_right(
        self, faces: FaceDetector, portrait: Rgb
    ) -> None:
        (face,), (mirrored,) = faces(portrait), faces(portrait[:, ::-1])
        for name, other in (
            ("left_eye", "right_eye"),
            ("left_ear", "right_ear"),
            ("nose_tip", "nose_tip"),
            ("mouth", "mouth"),
        ):
            x, y = getattr(face, name)
            assert near(getattr(mirrored, other), (portrait.shape[1] - x, y)), name

    def test_a_shifted_picture_shifts_the_points(self, faces: FaceDetector, portrait: Rgb) -> None:
        shifted = np.pad(portrait, ((40, 0), (60, 0), (0, 0)), mode="edge")
        (face,), (moved,) = faces(portrait), faces(shifted)
        assert near(moved.nose_tip, (face.nose_tip[0] + 60, face.nose_tip[1] + 40))

    def test_points_are_pixels_of_the_picture_given(self, faces: FaceDetector, portrait: Rgb) -> None:
        doubled = portrait.repeat(2, 0).repeat(2, 1)
        (face,), (larger,) = faces(portrait), faces(doubled)
        assert near(larger.nose_tip, (face.nose_tip[0] * 2, face.nose_tip[1] * 2))
        assert larger.box.width == pytest.approx(face.box.width * 2, rel=0.1)

    def test_two_people_side_by_side_are_two_the_best_first(self, manifest: Manifest, portrait: Rgb) -> None:
        """For the full range only: 100 px of 1024 are too few for the short range, which sees neither."""
        with FaceDetector(manifest, "full") as faces:
            found = faces(np.concatenate([portrait, portrait[:, ::-1]], axis=1))
        assert len(found) == 2
        assert found[0].score >= found[1].score
        assert sorted(face.box.center[0] > portrait.shape[1] for face in found) == [False, True]

    @pytest.mark.parametrize("kind", list(empty_pictures()))
    def test_nobody_in_an_empty_picture(self, faces: FaceDetector, kind: str) -> None:
        assert faces(empty_pictures()[kind]) == ()

    def test_a_grey_picture_has_the_same_face(self, faces: FaceDetector, portrait: Rgb) -> None:
        grey = portrait.mean(axis=2, keepdims=True).astype(np.uint8).repeat(3, axis=2)
        (face,) = faces(grey)
        assert near(face.left_eye, EYES[0])

    @pytest.mark.parametrize("shape", [(1, 1), (50, 50), (50, 4096), (4096, 50), (1, 4096)], ids=str)
    def test_extreme_shapes_are_just_empty(self, faces: FaceDetector, shape: tuple[int, int]) -> None:
        assert faces(np.full((*shape, 3), 127, np.uint8)) == ()

    def test_memory_layout_does_not_matter(self, faces: FaceDetector, portrait: Rgb) -> None:
        strided = np.zeros((1024, 1024, 3), np.uint8)[::2, ::2]
        strided[:] = portrait
        assert not strided.flags.c_contiguous
        assert faces(strided) == faces(portrait) == faces(np.asfortranarray(portrait))

    def test_the_picture_stays_as_it_was(self, faces: FaceDetector, portrait: Rgb) -> None:
        frozen = portrait.copy()
        frozen.flags.writeable = False
        faces(frozen)
        assert np.array_equal(frozen, portrait)

    @pytest.mark.parametrize(
        "wrong",
        [
            np.zeros((9, 9), np.uint8),
            np.zeros((9, 9, 4), np.uint8),
            np.zeros((9, 9, 3), np.float32),
            np.zeros((0, 9, 3), np.uint8),
        ],
        ids=["grey", "alpha", "float", "nothing"],
    )
    def test_what_is_no_picture_is_refused(self, faces: FaceDetector, wrong: Rgb) -> None:
        with pytest.raises(PhotoTypeError, match="a picture is uint8"):
            faces(wrong)

    def test_threads_share_one_detector(self, manifest: Manifest, portrait: Rgb) -> None:
        pictures = [portrait, portrait[:, ::-1]] * 8
        with FaceDetector(manifest, "short", parallel=2) as detector, ThreadPoolExecutor(4) as threads:
            alone = [detector(picture) for picture in pictures[:2]]
            together = list(threads.map(detector, pictures))
        assert together == alone * 8


class TestFaceLandmarker:
    def test_the_mesh_lies_on_the_face(self, meshes: FaceLandmarker, portrait: Rgb) -> None:
        mesh = meshes(portrait[20:220, 120:320])
        assert mesh is not None
        assert mesh.points.shape == (468, 3)
        assert mesh.score > 0.8
        points = mesh.points[:, :2] + (120, 20)
        for corners, eye in ((MESH_RIGHT_EYE, EYES[0]), (MESH_LEFT_EYE, EYES[1])):
            x, y = points[list(corners)].mean(axis=0)
            assert near((x, y), eye)
        assert points[MESH_FOREHEAD, 1] < EYES[0][1] < points[MESH_NOSE_TIP, 1] < points[MESH_CHIN, 1]
        assert mesh.points[MESH_NOSE_TIP, 2] == mesh.points[:, 2].min() or mesh.points[MESH_NOSE_TIP, 2] < -10

    def test_a_mirrored_picture_mirrors_the_mesh(self, meshes: FaceLandmarker, portrait: Rgb) -> None:
        mesh, mirrored = meshes(portrait), meshes(portrait[:, ::-1])
        assert mesh is not None
        assert mirrored is not None
        for index, other in ((33, 263), (133, 362), (1, 1), (61, 291), (152, 152)):
            x, y = mesh.points[index, :2]
            mirror_x, mirror_y = mirrored.points[other, :2]
            assert near((mirror_x, mirror_y), (portrait.shape[1] - x, y)), index

    @pytest.mark.parametrize("kind", list(empty_pictures()))
    def test_no_mesh_in_an_empty_picture(self, meshes: FaceLandmarker, kind: str) -> None:
        assert meshes(empty_pictures()[kind]) is None


class TestPoseLandmarker:
    def test_nose_and_shoulders_are_where_they_are(self, poses: PoseLandmarker, portrait: Rgb) -> None:
        (pose,) = poses(portrait)
        assert pose.points.shape == (33, 3)
        assert pose.visibility.shape == pose.presence.shape == (33,)
        assert near((pose.points[POSE_NOSE, 0], pose.points[POSE_NOSE, 1]), (224, 130))
        assert pose.points[POSE_RIGHT_SHOULDER, 0] < EYES[0][0] < EYES[1][0] < pose.points[POSE_LEFT_SHOULDER, 0]
        assert pose.visibility[[POSE_NOSE, POSE_LEFT_SHOULDER, POSE_RIGHT_SHOULDER]].min() > 0.9

    def test_legs_outside_the_picture_are_invisible(self, poses: PoseLandmarker, portrait: Rgb) -> None:
        (pose,) = poses(portrait)
        assert pose.visibility[25:].max() < 0.5  # knees, ankles, heels, toes

    @pytest.mark.parametrize(("turns", "shoulders_deg"), [(0, 0), (1, 90), (2, 180), (3, -90)])
    def test_the_shoulder_line_tells_how_the_picture_is_turned(
        self, poses: PoseLandmarker, portrait: Rgb, turns: int, shoulders_deg: float
    ) -> None:
        (pose,) = poses(np.rot90(portrait, -turns))
        dx, dy = (pose.points[POSE_LEFT_SHOULDER] - pose.points[POSE_RIGHT_SHOULDER])[:2]
        off_deg = (np.degrees(np.arctan2(dy, dx)) - shoulders_deg + 180) % 360 - 180
        assert abs(off_deg) < 20

    @pytest.mark.parametrize("kind", list(empty_pictures()))
    def test_nobody_in_an_empty_picture(self, poses: PoseLandmarker, kind: str) -> None:
        assert poses(empty_pictures()[kind]) == ()


class TestFailures:
    @pytest.mark.parametrize("min_score", [0.0, 1.0, -1.0])
    def test_a_score_outside_its_range(self, manifest: Manifest, min_score: float) -> None:
        with pytest.raises(OptionError, match="min_score"):
            FaceDetector(manifest, "short", min_score=min_score)

    def test_too_few_objects(self, manifest: Manifest) -> None:
        with pytest.raises(OptionError, match="parallel"):
            PoseLandmarker(manifest, parallel=0)

    def test_missing_weights(self, manifest: Manifest, tmp_path: Path, portrait: Rgb) -> None:
        with pytest.raises(ModelMissingError):
            FaceDetector(with_file(manifest, "face-full", tmp_path / "face.tflite"), "full")(portrait)

    def test_weights_with_another_sha256(self, manifest: Manifest, tmp_path: Path, portrait: Rgb) -> None:
        path = tmp_path / "face.tflite"
        path.write_bytes(manifest["face-full"].path.read_bytes()[:-1])
        with pytest.raises(ModelDamagedError, match="expected"):
            FaceDetector(with_file(manifest, "face-full", path), "full")(portrait)

    def test_weights_that_mediapipe_refuses(self, manifest: Manifest, tmp_path: Path, portrait: Rgb) -> None:
        path = tmp_path / "face.tflite"
        path.write_bytes(b"not a flatbuffer" * 9)
        with pytest.raises(ModelDamagedError, match="does not load"):
            FaceDetector(with_file(manifest, "face-full", path, trusted=True), "full")(portrait)

    @pytest.mark.parametrize(
        ("error", "mending"),
        [
            (OSError("libEGL.so.1: cannot open shared object file"), "apt-get install -y libegl1 libgles2"),
            (ModuleNotFoundError("No module named 'mediapipe'", name="mediapipe"), "pip install 'mediapipe>=1.2,<1.3'"),
        ],
        ids=["library", "package"],
    )
    def test_what_is_missing_is_named_with_what_mends_it(
        self, manifest: Manifest, portrait: Rgb, monkeypatch: pytest.MonkeyPatch, error: Exception, mending: str
    ) -> None:
        def fail() -> None:
            raise error

        monkeypatch.setattr(mediapipe_library, "_loaded", [])
        monkeypatch.setattr(mediapipe_library, "_import_tasks", fail)
        with pytest.raises(DependencyError, match=re.escape(mending)):
            FaceDetector(manifest, "short")(portrait)

    def test_a_closed_detector_says_so(self, manifest: Manifest, portrait: Rgb) -> None:
        detector = FaceDetector(manifest, "short")
        detector(portrait)
        detector.close()
        detector.close()
        with pytest.raises(RuntimeError, match="FaceDetector is closed"):
            detector(portrait)


def with_file(manifest: Manifest, name: str, path: Path, trusted: bool = False) -> Manifest:
    """The manifest with another file for one entry; ``trusted``: with that file's size and sha256."""
    entry = replace(manifest[name], path=path)
    if trusted:
        content = path.read_bytes()
        entry = replace(entry, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
    return Manifest(manifest.folder, (entry,))


ALL_THREE = """
import os, sys
import numpy as np
from skimage.data import astronaut
from idseg.models.mediapipe import FaceDetector, FaceLandmarker, PoseLandmarker
from idseg.models.manifest import load_manifest
heavy = {"matplotlib", "cv2", "sounddevice", "mediapipe"} & set(sys.modules)
assert not heavy, heavy
manifest = load_manifest()
finders = [FaceDetector(manifest, "short"), FaceDetector(manifest, "full")]
finders += [FaceLandmarker(manifest), PoseLandmarker(manifest)]
for finder in finders:
    assert finder(astronaut())
"""


REAL_PACKAGE = "from mediapipe import Image, tasks; Image; tasks.vision.FaceDetector"
WRONG_NET = """
import hashlib, zipfile
from dataclasses import replace
from pathlib import Path
from idseg.models.manifest import Manifest
path = Path(sys.argv[1])
with zipfile.ZipFile(path, "w") as bundle:
    bundle.writestr("face_detector.tflite", manifest["face-short"].path.read_bytes())
    bundle.writestr("face_landmarks_detector.tflite", manifest["face-full"].path.read_bytes())
content = path.read_bytes()
entry = replace(manifest["face-mesh"], path=path, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
wrong = FaceLandmarker(Manifest(path.parent, (entry, manifest["face-short"])))
try:
    wrong(astronaut())
except RuntimeError:
    finders.append(wrong)
assert len(finders) == 5
"""


@pytest.mark.parametrize(
    "ending",
    ["[finder.close() for finder in finders]", "pass", REAL_PACKAGE, WRONG_NET, WRONG_NET + "wrong.close()"],
    ids=["closed", "left open", "mediapipe imported too", "failed graph", "failed graph, closed"],
)
def test_a_process_is_silent_and_ends(ending: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", ALL_THREE + ending, str(tmp_path / "wrong.task")]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_stderr_of_others_gets_through() -> None:
    write = "os.write(2, b'mine\\n'); finders[0](astronaut()); print('too', file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", ALL_THREE + write], capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"mine\ntoo\n")


@pytest.mark.skipif(sys.platform != "linux", reason="the filter is Linux's")
def test_mediapipe_has_no_network_and_the_process_keeps_its_own() -> None:
    check = """
import socket
socket.socket().close()
status = [open(f"/proc/self/task/{task}/status").read() for task in os.listdir("/proc/self/task")]
print(sum("Seccomp:\\t2" in text for text in status) >= len(finders))
print("Seccomp:\\t0" in open("/proc/self/status").read())
"""
    done = subprocess.run([sys.executable, "-c", ALL_THREE + check], capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"True\nTrue\n", b"")


def test_types_are_the_projects_own(faces: FaceDetector, portrait: Rgb) -> None:
    (face,) = faces(portrait)
    assert isinstance(face, FaceDetection)
    assert type(face.score) is type(face.box.left) is type(face.nose_tip[0]) is float


DROPPED = """
import faulthandler, gc
import numpy as np
from idseg.models import mediapipe
from idseg.models.manifest import load_manifest
faulthandler.dump_traceback_later(120, exit=True)
pool = mediapipe.FaceDetector(load_manifest(), "short")
pool(np.zeros((64, 64, 3), np.uint8))
tasks = pool._idle
cycle = [pool]
cycle.append(cycle)
del pool, cycle
gc.collect()
while tasks[0]._handle is not None:
    pass
print("freed")
"""


def test_a_model_that_nobody_closed_is_freed_by_the_garbage_collector() -> None:
    """By MediaPipe itself it is not: it waits for ever for a thread that was collected with it."""
    done = subprocess.run([sys.executable, "-c", DROPPED], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "freed\n"), done.stderr
