"""Anchors by denan, by the widely copied k-means of numpy and by scikit-learn, on the same boxes, in one run.

    pip install numpy scikit-learn
    python python/benches/anchors.py [--denan PATH] [--voc NAME=FOLDER ...] [--boxes 850000] [-k 9]

Quality is the mean IoU of the boxes with the anchor that fits best: of denan's one run (ten restarts of its own), and of the
best of ten runs of each peer (on the synthetic set of as many as fit into --patience seconds). Time is that of the clustering
alone, as each measures it; denan's whole command, which reads the labels as well, is told beside it.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

import numpy as np

RUNS = 10


def overlaps(boxes, clusters):
    """IoU of each box with each cluster, (boxes, clusters)."""
    common = np.minimum(boxes[:, None, 0], clusters[None, :, 0]) * np.minimum(boxes[:, None, 1], clusters[None, :, 1])
    return common / (boxes.prod(1)[:, None] + clusters.prod(1)[None] - common)


def numpy_kmeans(boxes, k, seed, by_row=False, most=10_000):
    """The k-means with 1 - IoU and the median that is copied from detector to detector. ``by_row`` is its first form, a loop
    over the boxes. Ends where the original never does, when a cluster is empty. Returns clusters and rounds."""
    random = np.random.default_rng(seed)
    clusters = boxes[random.choice(len(boxes), k, replace=False)].copy()
    last = None
    for rounds in range(1, most + 1):
        if by_row:
            distances = np.empty((len(boxes), k))
            for row in range(len(boxes)):
                distances[row] = 1 - overlaps(boxes[row : row + 1], clusters)[0]
        else:
            distances = 1 - overlaps(boxes, clusters)
        nearest = np.argmin(distances, axis=1)
        if last is not None and (nearest == last).all():
            break
        for number in range(k):
            own = boxes[nearest == number]
            if len(own):
                clusters[number] = np.median(own, axis=0)
        last = nearest
    return clusters, rounds


def sklearn_kmeans(boxes, k, seed):
    from sklearn.cluster import KMeans

    return KMeans(k, n_init=1, random_state=seed).fit(boxes).cluster_centers_, 0


def quality(boxes, clusters):
    return float(overlaps(boxes, clusters).max(1).mean())


def best_of(name, method, boxes, k, patience):
    """Best mean IoU of up to ten runs, and the seconds of the fastest and of all."""
    times, best, rounds = [], 0.0, []
    for seed in range(RUNS):
        began = time.perf_counter()
        clusters, count = method(boxes, k, seed)
        times.append(time.perf_counter() - began)
        rounds.append(count)
        best = max(best, quality(boxes, clusters))
        if sum(times) > patience:
            break
    print(f"    {name:24} {best:.4f}  best of {len(times):2}, fastest {min(times):8.3f} s, median {np.median(times):8.3f} s")
    return best, min(times), rounds


def by_denan(program, labels, k):
    began = time.perf_counter()
    command = [*program, "anchors", labels, "-k", str(k), "--format", "json", "--verbose"]
    done = subprocess.run(command, capture_output=True, text=True)
    whole = time.perf_counter() - began
    document = json.loads(done.stdout)
    seconds = float(re.search(r"clustered in ([0-9.]+) s", done.stderr)[1])
    print(f"    {'denan':24} {document['mean_iou']:.4f}  one run, {seconds:.3f} s (whole command {whole:.3f} s)")
    return document, seconds


def voc(folder):
    sides = []
    for name in sorted(os.listdir(folder)):
        if name.endswith(".xml"):
            for box in xml.etree.ElementTree.parse(os.path.join(folder, name)).iter("bndbox"):
                corner = {part.tag: float(part.text) for part in box}
                sides.append((corner["xmax"] - corner["xmin"], corner["ymax"] - corner["ymin"]))
    sides = np.array(sides)
    return sides[(sides > 0).all(1)]


def synthetic(count):
    """Sizes like those of a large data set: 80 classes, each with a size and a shape of its own."""
    random = np.random.default_rng(0)
    of = random.integers(0, 80, count)
    size = random.normal(4, 0.9, 80)[of] + random.normal(0, 0.8, count)
    shape = random.normal(0, 0.5, 80)[of] + random.normal(0, 0.35, count)
    sides = np.stack([np.exp(size + shape / 2), np.exp(size - shape / 2)], 1)
    return np.round(np.clip(sides, 1, 640), 2)


def written(boxes, folder):
    """The boxes as COCO labels of images of 640 x 640."""
    images = [{"id": number, "file_name": f"{number}.jpg", "width": 640, "height": 640} for number in range(1000)]
    annotations = [
        {"id": number, "image_id": number % 1000, "category_id": 1, "bbox": [0, 0, float(width), float(height)]}
        for number, (width, height) in enumerate(boxes)
    ]
    path = os.path.join(folder, "instances.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "thing"}]}, file)
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--denan", nargs="+", default=["denan"], help="the program")
    parser.add_argument("--voc", nargs="*", default=[], metavar="NAME=FOLDER", help="more sets of labels")
    parser.add_argument("--boxes", type=int, default=850_000, help="of the synthetic set")
    parser.add_argument("--patience", type=float, default=120.0, help="seconds for the runs of each peer")
    parser.add_argument("-k", type=int, default=9)
    options = parser.parse_args()
    is_as_good = True
    with tempfile.TemporaryDirectory() as folder:
        sets = []
        for entry in options.voc:
            name, _, path = entry.partition("=")
            sets.append((name, voc(path), path))
        boxes = synthetic(options.boxes)
        sets.append(("synthetic", boxes, written(boxes, folder)))
        for name, boxes, labels in sets:
            print(f"{name}: {len(boxes)} boxes, k = {options.k}, mean IoU")
            document, seconds = by_denan(options.denan, labels, options.k)
            own = quality(boxes, np.array(document["anchors"]))
            iou, fastest, rounds = best_of("numpy, 1 - IoU, median", numpy_kmeans, boxes, options.k, options.patience)
            other, _, _ = best_of("scikit-learn KMeans", sklearn_kmeans, boxes, options.k, options.patience)
            is_as_good &= own >= max(iou, other)
            # The form with a loop over the boxes takes minutes: one round on a part of them stands for all.
            part = boxes[:: max(1, len(boxes) // 20_000)]
            began = time.perf_counter()
            numpy_kmeans(part, options.k, 0, by_row=True, most=1)
            by_row = (time.perf_counter() - began) * len(boxes) / len(part) * min(rounds)
            print(f"    numpy takes {fastest / seconds:.0f} times as long, with its loop over boxes about {by_row / seconds:.0f} times")
    print("denan's mean IoU is the highest on every set" if is_as_good else "a peer's mean IoU is higher")
    return 0 if is_as_good else 1


if __name__ == "__main__":
    sys.exit(main())
