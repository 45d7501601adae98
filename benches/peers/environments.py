"""Environment steps a second: mamlx's environments beside gymnasium's on MuJoCo, in one run, taking turns.

    pip install gymnasium mujoco imageio packaging numpy
    cargo build --release && python benches/peers/environments.py target/release/mamlx

Same robots, control period and horizon (200 steps): half-cheetah 0.01 s, ant 0.02 s, one simulation step a control, as in
the paper. The engines differ (rapier here, MuJoCo there), and so do solver settings; see the plugins' READMEs.
"given": random actions drawn beforehand. "policy": 20 episodes move together, their actions come from a 100-100 ReLU
policy with Gaussian noise, and observations, actions and rewards are kept, which is all that sampling for MAML takes.
"""

import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import time

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import gymnasium
import mujoco
import numpy as np

EPISODES, HORIZON, HIDDEN = 20, 200, 100
ROUNDS, SECONDS = 3, 1.0
ROBOTS = {
    # name: (gymnasium's, seconds of a control)
    "cheetah": ("HalfCheetah-v5", 0.01),
    "ant": ("Ant-v5", 0.02),
}


def make(robot):
    name, period = ROBOTS[robot]
    env = gymnasium.make(name, frame_skip=1, max_episode_steps=HORIZON)
    env.unwrapped.model.opt.timestep = period
    return env


def given_single(robot):
    """One environment, actions drawn beforehand; yields the steps of every episode."""
    env = make(robot)
    actions = np.random.default_rng(0).uniform(-1, 1, (HORIZON, *env.action_space.shape)).astype(np.float32)
    while True:
        env.reset(seed=0)
        for t in range(HORIZON):
            _, _, terminated, truncated, _ = env.step(actions[t])
            if terminated or truncated:
                break
        yield t + 1


def given_vector(robot, vector):
    envs = vector([lambda: make(robot)] * EPISODES)
    actions = np.random.default_rng(0).uniform(-1, 1, (HORIZON, *envs.action_space.shape)).astype(np.float32)
    try:
        while True:
            envs.reset(seed=0)
            for t in range(HORIZON):
                envs.step(actions[t])
            yield EPISODES * HORIZON
    finally:
        envs.close()


def policy_vector(robot, vector):
    """The whole of sampling: policy, noise, environments, records."""
    envs = vector([lambda: make(robot)] * EPISODES)
    width, dim = envs.single_observation_space.shape[0], envs.single_action_space.shape[0]
    rng = np.random.default_rng(0)
    sizes = [width, HIDDEN, HIDDEN, dim]
    layers = [
        (rng.normal(0, 1 / np.sqrt(a), (a, b)).astype(np.float32), np.zeros(b, np.float32))
        for a, b in zip(sizes, sizes[1:])
    ]
    observations = np.zeros((HORIZON, EPISODES, width), np.float32)
    actions = np.zeros((HORIZON, EPISODES, dim), np.float32)
    rewards = np.zeros((HORIZON, EPISODES), np.float32)
    try:
        while True:
            seen, _ = envs.reset(seed=0)
            for t in range(HORIZON):
                observations[t] = seen
                x = observations[t]
                for weight, bias in layers[:-1]:
                    x = np.maximum(x @ weight + bias, 0)
                x = x @ layers[-1][0] + layers[-1][1]
                actions[t] = x + rng.standard_normal((EPISODES, dim), np.float32)
                seen, rewards[t], _, _, _ = envs.step(np.clip(actions[t], -1, 1))
            yield EPISODES * HORIZON
    finally:
        envs.close()


def pace(work, seconds=SECONDS):
    """Steps a second of a generator of step counts."""
    next(work)
    steps, began = 0, time.perf_counter()
    while (took := time.perf_counter() - began) < seconds:
        steps += next(work)
    return steps / took


def two(worker, robot):
    """The same in two processes at once: the sum of their rates."""
    with multiprocessing.get_context("fork").Pool(2) as pool:
        return sum(pool.starmap(worker, [(robot,), (robot,)]))


def single(robot):
    return pace(given_single(robot))


def sync(robot):
    return pace(given_vector(robot, gymnasium.vector.SyncVectorEnv))


def asynchronous(robot):
    return pace(given_vector(robot, gymnasium.vector.AsyncVectorEnv))


def sampling(robot):
    return pace(policy_vector(robot, gymnasium.vector.SyncVectorEnv))


def sampling_asynchronous(robot):
    return pace(policy_vector(robot, gymnasium.vector.AsyncVectorEnv))


def mamlx(program, workload, threads):
    command = [program, "bench", workload, "--json", "--repetitions", "3", "--threads", str(threads)]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["env_steps_per_s"]


def main():
    program = sys.argv[1]
    rows = [
        # what, cores, mamlx's workload, gymnasium's way
        ("given, one environment", 1, "env-{}", single),
        ("given, 20 in a SyncVectorEnv", 1, "env-{}", sync),
        ("given, 20 in an AsyncVectorEnv", 2, "env-{}", asynchronous),
        ("policy, 20 in a SyncVectorEnv", 1, "sample-{}", sampling),
        ("policy, 20 in an AsyncVectorEnv", 2, "sample-{}", sampling_asynchronous),
        ("policy, 2 processes of 20", 2, "sample-{}", lambda robot: two(sampling, robot)),
    ]
    print(f"gymnasium {gymnasium.__version__}, MuJoCo {mujoco.__version__}, {subprocess.run([program, '--version'], capture_output=True, text=True).stdout.strip()}")
    print("medians of", ROUNDS, "rounds; steps/s\n")
    print("| robot | actions, peer | cores | gymnasium + MuJoCo | mamlx | ratio |\n|---|---|---|---|---|---|")
    for robot in ROBOTS:
        for what, cores, workload, peer in rows:
            theirs, ours = [], []
            for _ in range(ROUNDS):
                theirs.append(peer(robot))
                ours.append(mamlx(program, workload.format(robot), cores))
            theirs, ours = statistics.median(theirs), statistics.median(ours)
            print(f"| {robot} | {what} | {cores} | {theirs:,.0f} | {ours:,.0f} | {ours / theirs:.2f} |", flush=True)


if __name__ == "__main__":
    main()
