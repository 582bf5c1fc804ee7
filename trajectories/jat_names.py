"""JAT's data sets on the Hugging Face hub: what JAT calls them, and which environment recorded them.

Source   jat-project/jat-dataset (Apache-2.0), a folder for each of 157 configurations; huggingface/jat at 834b49c
Names    babyai-* and metaworld-* are called the same here. Atari's games are atari-*, without underscores. mujoco-* are
         gymnasium's v4, and have no other row in the catalog
"""

from trajectories.own_names import own_parts
from trajectories.rows import DatasetRow

LISTING = "https://huggingface.co/api/datasets/jat-project/jat-dataset/tree/main/{configuration}"
ADDRESS = "https://huggingface.co/datasets/jat-project/jat-dataset/resolve/main/{path}"
MUJOCO = {
    "mujoco-ant": "Ant-v4",
    "mujoco-doublependulum": "InvertedDoublePendulum-v4",
    "mujoco-halfcheetah": "HalfCheetah-v4",
    "mujoco-hopper": "Hopper-v4",
    "mujoco-humanoid": "Humanoid-v4",
    "mujoco-pendulum": "InvertedPendulum-v4",
    "mujoco-pusher": "Pusher-v4",
    "mujoco-reacher": "Reacher-v4",
    "mujoco-standup": "HumanoidStandup-v4",
    "mujoco-swimmer": "Swimmer-v4",
    "mujoco-walker": "Walker2d-v4",
}
SAME = ("babyai", "metaworld")  # families whose names are JAT's
NOT_JAT = ("babyai-go-to-seq-s5r2",)  # of these


def configuration(row: DatasetRow) -> str | None:
    """What JAT calls a data set; None if it has none of it."""
    family = row.environment.family
    if row.name in MUJOCO or (family in SAME and row.name == row.env and row.name not in NOT_JAT):
        return row.name
    if family == "atari":
        return f"atari-{row.env.partition('?')[0].replace('_', '')}"
    if own_parts(row.name):
        return next((name for name, gym_id in MUJOCO.items() if gym_id == row.env), None)
    return None
