"""Wrong files are told in one line, before TensorFlow; downloads come from a real local server."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import re
import subprocess
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from mmdream.core.errors import UserError
from mmdream.networks.card import MODELS_FOLDER, KerasWeights
from mmdream.networks.registry import load_card
from mmdream.networks.weights import download_keras_file, download_snapshot, locate_weights, read_arrays

RAW = {
    "conv_1": np.arange(2 * 3 * 3 * 4, dtype="<f4"),  # out 2, y 3, x 3, in 4
    "bias": np.array([1.5, -2.0], "<f4"),
}
SHAPES = {"conv_1": "3x3x4x2", "bias": "2"}


def zip_array(name: str, data: bytes, packing: int | None = None) -> bytes:
    """A zip of one array; a packing that there is not may be claimed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(name, data)
    changed = bytearray(buffer.getvalue())
    if packing is not None:
        for place in (8, changed.index(b"PK\x01\x02") + 10):
            changed[place] = packing
    return bytes(changed)


def make_array_header(head: str) -> bytes:
    """An array of numpy's that has a header and nothing else."""
    return b"\x93NUMPY\x01\0" + len(head).to_bytes(2, "little") + head.encode()


FLOATS = "{'descr': '<f4', 'fortran_order': False, 'shape': (%s), }\n"


@pytest.mark.parametrize(
    "data",
    [
        zip_array("a.npy", make_array_header("{" * 50)),
        zip_array("a.npy", make_array_header(FLOATS % "206158430160,")),
        zip_array("a.npy", make_array_header(FLOATS % f"{10**30},")),
        zip_array("a.npy", make_array_header(FLOATS % "-1,")),
        zip_array("a.npy", make_array_header(FLOATS % "4,").replace(b"<f4", b"|O ")),
        zip_array("a.npy", make_array_header(FLOATS.replace("<f4", "<U4") % "1,") + bytes(16)),
        zip_array("a.npy", make_array_header(FLOATS.replace("<f4", "<c8") % "1,") + bytes(8)),
        zip_array("a.npy", make_array_header(FLOATS.replace("<f4", "|V4") % "1,") + bytes(4)),
        zip_array("a.npy", make_array_header(FLOATS % "4,"), packing=97),
        zip_array("a.npy", make_array_header(FLOATS % "4,"), packing=8),
    ],
)
def test_an_array_that_lies_is_told_in_one_line(data: bytes, tmp_path: Path):
    (tmp_path / "a.npz").write_bytes(data)
    with pytest.raises(UserError, match=r"is no \.npz file of number arrays"):
        read_arrays(tmp_path / "a.npz")


@pytest.fixture
def site():
    """A server of `served`: path -> (status, bytes); an announced length may be a lie."""
    served: dict[str, tuple[int, bytes, int]] = {}

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            status, body, announced = served.get(self.path, (404, b"", 0))
            self.send_response(status)
            if status == 302:
                self.send_header("Location", body.decode())
            self.send_header("Content-Length", str(announced))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/", served
    server.shutdown()
    server.server_close()


@pytest.fixture
def served_snapshot(site, tmp_path):
    address, served = site
    lines = ["path\tbytes\tsha256\tarray\tshape"]
    for name, array in RAW.items():
        data = array.tobytes()
        served[f"/net/{name}.bin"] = (200, data, len(data))
        sha = hashlib.sha256(data).hexdigest()
        lines.append(f"net/{name}.bin\t{len(data)}\t{sha}\t{name}\t{SHAPES[name]}")
    manifest = tmp_path / "net.manifest.tsv"
    manifest.write_text("\n".join(lines) + "\n")
    return address, served, manifest, tmp_path / "cache"


def test_snapshot_arrives_in_the_networks_order(served_snapshot):
    address, served, manifest, folder = served_snapshot
    into = download_snapshot(address, manifest, folder, "net")
    assert into.parent == folder
    arrays = read_arrays(into)
    stored = RAW["conv_1"].reshape(2, 3, 3, 4)
    assert arrays["conv_1"].shape == (3, 3, 4, 2)
    assert arrays["conv_1"][1, 2, 3, 0] == stored[0, 1, 2, 3]
    np.testing.assert_array_equal(arrays["bias"], RAW["bias"])
    served.clear()  # the second time nothing is asked for
    assert download_snapshot(address, manifest, folder, "net") == into


def test_another_release_of_a_snapshot_is_fetched(served_snapshot):
    address, served, manifest, folder = served_snapshot
    download_snapshot(address, manifest, folder, "net")
    other = np.array([3.0, 4.0], "<f4").tobytes()
    served["/net/bias.bin"] = (200, other, len(other))
    old, new = (hashlib.sha256(data).hexdigest() for data in (RAW["bias"].tobytes(), other))
    manifest.write_text(manifest.read_text().replace(old, new))
    found = read_arrays(download_snapshot(address, manifest, folder, "net"))
    np.testing.assert_array_equal(found["bias"], [3.0, 4.0])


def test_what_an_earlier_release_fetched_is_taken_where_it_is_the_same(served_snapshot):
    address, served, manifest, folder = served_snapshot
    into = download_snapshot(address, manifest, folder, "net")
    kept, earlier = dict(served), folder / "net.npz"
    into.rename(earlier)
    served.clear()
    assert download_snapshot(address, manifest, folder, "net") == into
    served.update(kept)
    arrays = read_arrays(into)
    into.unlink()
    np.savez(earlier, **{**arrays, "bias": arrays["bias"] + 1})
    found = read_arrays(download_snapshot(address, manifest, folder, "net"))
    np.testing.assert_array_equal(found["bias"], RAW["bias"])


def test_a_damaged_snapshot_is_fetched_again(served_snapshot):
    address, _, manifest, folder = served_snapshot
    into = download_snapshot(address, manifest, folder, "net")
    data = bytearray(into.read_bytes())
    for damaged in (data[: len(data) // 2], bytes(data).replace(RAW["bias"].tobytes(), bytes(8))):
        into.write_bytes(damaged)
        found = read_arrays(download_snapshot(address, manifest, folder, "net"))
        np.testing.assert_array_equal(found["bias"], RAW["bias"])


@pytest.mark.parametrize("wrong", ["content", "shorter", "cut", "longer", "missing", "refused", "ftp"])
def test_bad_download_is_one_line_and_leaves_nothing(served_snapshot, wrong):
    address, served, manifest, folder = served_snapshot
    _, data, length = served["/net/bias.bin"]
    served["/net/bias.bin"] = {
        "content": (200, data[::-1], length),
        "shorter": (200, data[:4], 4),
        "cut": (200, data[:4], length),
        "longer": (200, data * 1000, length * 1000),
        "missing": (404, b"", 0),
        "refused": (500, b"", 0),
        "ftp": (302, b"ftp://127.0.0.1/bias.bin", 0),
    }[wrong]
    with pytest.raises(UserError, match="--weights FILE") as raised:
        download_snapshot(address, manifest, folder, "net")
    assert "\n" not in str(raised.value)
    assert not folder.exists() or not list(folder.iterdir())
    # Where it is told to be saved, it is taken from.
    into = Path(re.search(r"save it as (\S+\.npz)\)", str(raised.value))[1])
    into.parent.mkdir(exist_ok=True)
    np.savez(into, bias=np.zeros(2, np.float16))
    assert download_snapshot(address, manifest, folder, "net") == into


def test_only_the_web_is_asked(served_snapshot, tmp_path):
    _, _, manifest, folder = served_snapshot
    with pytest.raises(UserError, match="neither http nor https"):
        download_snapshot(tmp_path.as_uri() + "/", manifest, folder, "net")


def test_nobody_there_says_what_to_do(served_snapshot, site):
    _, _, manifest, folder = served_snapshot
    with pytest.raises(UserError, match="could not be downloaded"):
        download_snapshot("http://127.0.0.1:9/", manifest, folder, "net")


def test_keras_file_goes_through_keras_cache(site, tmp_path):
    address, served = site
    data = b"weights"
    served["/a.h5"] = (200, data, len(data))
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    source = KerasWeights(address + "a.h5", "a.h5", md5)
    into = tmp_path / "models" / "a.h5"
    assert download_keras_file(source, into, "net").read_bytes() == data
    into.write_bytes(b"other")
    with pytest.raises(UserError, match="delete it"):
        download_keras_file(source, into, "net")
    into.unlink()
    with pytest.raises(UserError, match=r"a\.h5 could not be downloaded.*models"):
        download_keras_file(dataclasses.replace(source, md5="0"), into, "net")
    assert not into.exists()


def test_offline_application_names_file_and_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    vgg = load_card("vgg16")
    assert isinstance(vgg.weights, KerasWeights)
    gone = dataclasses.replace(vgg.weights, address="http://127.0.0.1:9/x")
    with pytest.raises(UserError) as raised:
        locate_weights(dataclasses.replace(vgg, weights=gone))
    for part in (
        "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
        str(tmp_path / "keras" / "models"),
    ):
        assert part in str(raised.value)
    for part in ("--weights FILE", "random"):
        assert part in str(raised.value)


def test_keras_checksums_are_keras_own():
    import inspect

    import keras

    for name, build in {
        "vgg16": keras.applications.VGG16,
        "vgg19": keras.applications.VGG19,
        "inception_v3": keras.applications.InceptionV3,
    }.items():
        where = load_card(name).weights
        assert isinstance(where, KerasWeights)
        source = inspect.getsource(build)
        assert where.md5 in source
        assert where.file in source


def test_real_files_fit(data):
    for name, file in (
        ("googlenet", "googlenet_fp16.npz"),
        ("squeezenet", "squeezenet_v1_1.npz"),
    ):
        path = data / "weights" / file
        assert locate_weights(load_card(name), path) == path


def test_safetensors_are_read_like_npz(tmp_path):
    arrays = read_arrays(MODELS_FOLDER / "melnet.npz")
    save_file(arrays, tmp_path / "mine.safetensors")
    back = read_arrays(locate_weights(load_card("melnet"), tmp_path / "mine.safetensors"))
    assert back.keys() == arrays.keys()
    assert all(np.array_equal(back[name], arrays[name]) for name in arrays)


def test_wrong_files_are_told_without_tensorflow(tmp_path, data):
    """Missing, another network's, no archive, pickled, text named .h5: no TensorFlow for these."""
    other = data / "weights" / "squeezenet_v1_1.npz"
    text = tmp_path / "text.npz"
    text.write_text("no archive")
    pickled = tmp_path / "pickled.npz"
    np.savez(pickled, c1a_kernel=np.array([{"a": 1}], dtype=object))
    single = tmp_path / "single.npz"
    with single.open("wb") as file:
        np.save(file, np.zeros(3))
    tensors = tmp_path / "text.safetensors"
    tensors.write_text("no tensors")
    hdf = tmp_path / "text.h5"
    hdf.write_text("no HDF5")
    script = """
import sys
from mmdream.core.errors import UserError
from mmdream.networks.network import load_network
from mmdream.networks.registry import load_card
for name, path in zip(sys.argv[1::2], sys.argv[2::2]):
    try:
        load_network(load_card(name), path)
    except UserError as error:
        print(error)
assert "tensorflow" not in sys.modules and "keras" not in sys.modules
"""
    cases = [
        ("dreamnet", tmp_path / "nowhere.npz", "no such weights file"),
        ("dreamnet", tmp_path, "no such weights file"),
        ("dreamnet", other, "weights of another network"),
        ("googlenet", other, "weights of another network"),
        ("dreamnet", text, "damaged"),
        ("dreamnet", pickled, "damaged"),
        ("dreamnet", single, "damaged"),
        ("dreamnet", tensors, "damaged"),
        ("dreamnet", hdf, "takes weights as .npz"),
        ("vgg16", hdf, "not an HDF5 file"),
    ]
    words = [str(word) for name, path, _ in cases for word in (name, path)]
    ran = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert len(lines) == len(cases)
    for line, (_, path, part) in zip(lines, cases, strict=True):
        assert line.startswith(str(path))
        assert part in line
