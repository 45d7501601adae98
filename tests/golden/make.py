"""Golden meta-gradients: JAX in f64 on small variants of the benchmark's workloads, each with the data it was computed on.

    python make.py        needs jax and numpy; writes *.safetensors beside this file

Data and parameters are rounded to f32 first, so that a program in f32 starts from the very same numbers.
"""
import json, os
import numpy as np, jax, jax.numpy as jnp
from jax import lax
from jax.flatten_util import ravel_pytree

jax.config.update("jax_enable_x64", True)
HERE = os.path.dirname(os.path.abspath(__file__))


def write(name, tensors):
    """Two safetensors files: f32 data as NAME, f64 results as NAME.golden."""
    exact = {key: array for key, array in tensors.items() if array.dtype == np.float64}
    safetensors(name, {key: array for key, array in tensors.items() if key not in exact})
    safetensors(name + ".golden", exact)


def safetensors(name, tensors):
    header, blobs, at = {}, [], 0
    for key, array in tensors.items():
        kind = "F64" if array.dtype == np.float64 else "F32"
        blob = np.ascontiguousarray(array).tobytes()
        header[key] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [at, at + len(blob)]}
        blobs.append(blob)
        at += len(blob)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(os.path.join(HERE, name + ".safetensors"), "wb") as out:
        out.write(len(text).to_bytes(8, "little") + text + b"".join(blobs))


def numbers(seed):
    source = np.random.default_rng(seed)
    return lambda *shape, std=1.0: (source.standard_normal(shape) * std).astype(np.float32)


def wide(tree):
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.float64), tree)


def adapt(loss, params, steps, rate, *data):
    for _ in range(steps):
        params = jax.tree.map(lambda p, g: p - rate * g, params, jax.grad(loss)(params, *data))
    return params


def meta_gradient(loss, params, tasks, steps, rate):
    def outer(p):
        judged = [loss(adapt(loss, p, steps, rate, xs, ys), xq, yq) for xs, ys, xq, yq in tasks]
        return sum(judged) / len(judged)
    return np.asarray(ravel_pytree(jax.grad(outer)(params))[0])


def mlp(p, x, act):
    for layer, (w, b) in enumerate(p):
        x = x @ w + b
        x = act(x) if layer + 1 < len(p) else x
    return x


def regression(name, hidden, act, tasks, points, steps):
    n, widths = numbers(len(name)), [1, *hidden, 1]
    params = [(n(i, o, std=i ** -0.5), n(o, std=0.1)) for i, o in zip(widths, widths[1:])]
    data = [n(tasks, points, 1, std=2.0) for _ in range(4)]
    loss = lambda p, x, y: jnp.mean((mlp(p, x, act) - y) ** 2)
    gradient = meta_gradient(loss, wide(params), list(zip(*wide(data))), steps, 0.01)
    named = {f"layer{i}.{k}": a for i, layer in enumerate(params) for k, a in zip(("weight", "bias"), layer)}
    keys = ("support_x", "support_y", "query_x", "query_y")
    write(name, {**named, **dict(zip(keys, data)), "gradient": gradient})


def classification(name, size, channels, filters, pool, ways, tasks, query, steps, rate):
    """Parameters in the order of the flat vector: per module weight (HWIO), bias, shift, scale; then the last layer."""
    n, params, deep, side = numbers(len(name)), [], channels, size
    for _ in range(4):
        params.append((n(3, 3, deep, filters, std=(2 / (9 * deep)) ** 0.5), n(filters, std=0.05),
                       n(filters, std=0.1), 1 + n(filters, std=0.1)))
        deep, side = filters, side // 2 if pool else (side + 1) // 2
    features = filters * side * side if pool else filters
    params.append((n(features, ways, std=features ** -0.5), n(ways, std=0.05)))
    images = lambda count: 0.5 + n(tasks, count, size, size, channels, std=0.3)
    labels = lambda count: np.stack([np.eye(ways, dtype=np.float32)[np.arange(count) % ways]] * tasks)
    data = [images(ways), labels(ways), images(query), labels(query)]

    def loss(p, x, y):
        for w, b, shift, scale in p[:4]:
            stride = 1 if pool else 2
            x = lax.conv_general_dilated(x, w, (stride, stride), [(1, 1), (1, 1)],
                                         dimension_numbers=("NHWC", "HWIO", "NHWC")) + b
            mean = x.mean((0, 1, 2))
            variance = ((x - mean) ** 2).mean((0, 1, 2))
            x = jax.nn.relu((x - mean) / jnp.sqrt(variance + 1e-3) * scale + shift)
            if pool:
                h = x.shape[1] // 2 * 2
                x = x[:, :h, :h]
                x = jnp.maximum(jnp.maximum(x[:, ::2, ::2], x[:, ::2, 1::2]),
                                jnp.maximum(x[:, 1::2, ::2], x[:, 1::2, 1::2]))
        x = x.reshape(x.shape[0], -1) if pool else x.mean((1, 2))
        w, b = p[4]
        return -jnp.mean(jnp.sum(y * jax.nn.log_softmax(x @ w + b), 1))

    gradient = meta_gradient(loss, wide(params), list(zip(*wide(data))), steps, rate)
    named = {}
    for i, (w, b, shift, scale) in enumerate(params[:4]):
        named |= {f"layer{i}.weight": w, f"layer{i}.bias": b, f"norm{i}.shift": shift, f"norm{i}.scale": scale}
    named |= {"layer4.weight": params[4][0], "layer4.bias": params[4][1]}
    flat = lambda a: a.reshape(tasks, -1) if a.ndim == 5 else a
    keys = ("support_x", "support_y", "query_x", "query_y")
    write(name, {**named, **dict(zip(keys, map(flat, data))), "gradient": gradient})


def policy(name, observation, action, hidden, tasks, rows, rate):
    n, widths = numbers(len(name)), [observation, hidden, hidden, action]
    layers = [(n(i, o, std=i ** -0.5), n(o, std=0.05)) for i, o in zip(widths, widths[1:])]
    params = (layers, n(action, std=0.1))
    data = [n(tasks, rows, w) if w else n(tasks, rows) for w in (observation, action, 0) * 2]
    vector = n(ravel_pytree(params)[0].size)

    def log_density(p, o, a):
        mean, log_std = mlp(p[0], o, jnp.tanh), p[1]
        return jnp.sum(-0.5 * ((a - mean) * jnp.exp(-log_std)) ** 2 - log_std - 0.5 * jnp.log(2 * jnp.pi), -1)

    inner = lambda p, o, a, adv: -jnp.mean(log_density(p, o, a) * adv)

    def surrogate(p, o, a, adv, o2, a2, adv2):
        new = log_density(adapt(inner, p, 1, rate, o, a, adv), o2, a2)
        return -jnp.mean(jnp.exp(new - lax.stop_gradient(new)) * adv2)

    def divergence(p, o, a, adv, o2, a2, adv2):
        layers, log_std = adapt(inner, p, 1, rate, o, a, adv)
        mean = mlp(layers, o2, jnp.tanh)
        old, old_std = lax.stop_gradient(mean), lax.stop_gradient(log_std)
        ratio = (jnp.exp(2 * old_std) + (old - mean) ** 2) / (2 * jnp.exp(2 * log_std))
        return jnp.mean(jnp.sum(log_std - old_std + ratio - 0.5, -1))

    flat, unravel = ravel_pytree(wide(params))
    tasks_of = list(zip(*wide(data)))
    mean = lambda f: lambda q: sum(f(unravel(q), *t) for t in tasks_of) / len(tasks_of)
    gradient = np.asarray(jax.grad(mean(surrogate))(flat))
    # The plain Hessian of the mean divergence times the vector: no Fisher identity is used here.
    fisher = np.asarray(jax.jvp(jax.grad(mean(divergence)), (flat,), (jnp.asarray(vector, jnp.float64),))[1])
    named = {f"layer{i}.{k}": a for i, layer in enumerate(layers) for k, a in zip(("weight", "bias"), layer)}
    keys = [f"{when}_{what}" for when in ("before", "after") for what in ("observation", "action", "advantage")]
    write(name, {**named, "log_std": params[1], **dict(zip(keys, data)), "vector": vector,
                 "gradient": gradient, "fisher": fisher})


regression("sine1", [40, 40], jax.nn.relu, tasks=3, points=10, steps=1)
regression("sine5", [40, 40], jax.nn.relu, tasks=2, points=10, steps=5)
regression("sine_tanh", [7, 13], jnp.tanh, tasks=2, points=9, steps=3)
classification("conv_stride", 10, 1, 5, False, 3, tasks=2, query=3, steps=2, rate=0.4)
classification("conv_pool", 17, 3, 4, True, 3, tasks=2, query=6, steps=2, rate=0.05)
policy("policy", 5, 3, 11, tasks=2, rows=40, rate=0.1)
