"""Tasks by name."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from evosnn.tasks.acrobot import Acrobot
from evosnn.tasks.cart_pole import CartPole, HiddenCartPole
from evosnn.tasks.delayed_match import DelayedMatch
from evosnn.tasks.gymnasium_task import GymnasiumTask
from evosnn.tasks.mountain_car import MountainCar
from evosnn.tasks.pendulum import Pendulum
from evosnn.tasks.t_maze import TMaze
from evosnn.tasks.task import Task
from evosnn.tasks.xor import Xor

TASKS: dict[str, type[Task]] = {
    task.name: task for task in (Acrobot, CartPole, DelayedMatch, HiddenCartPole, MountainCar, Pendulum, TMaze, Xor)
}
_AS_ENVIRONMENT = {"evosnn/TMaze-v0": "TMaze", "evosnn/HiddenCartPole-v0": "HiddenCartPole"}


def make_task(task: str | Mapping[str, Any] | Task, **options: Any) -> Task:
    """Make a task by its name.

    Args:
        task: a name of `TASKS`, the id of any registered Gymnasium environment, the settings of a task (a mapping with
            "name"), or a task, which is given back.
        options: for the task's constructor, such as trials=40 for "TMaze", or what `gymnasium.make` takes.

    Returns:
        The task.

    Raises:
        ValueError: no task or environment has that name (the nearest is suggested), an option is unknown, or the
            environment's spaces cannot be encoded.
    """
    if isinstance(task, Task):
        if options:
            raise ValueError(f"make_task: {task.name} is made already, it takes no options {sorted(options)}")
        return task
    if not isinstance(task, str | Mapping):
        raise ValueError(f"make_task: expected a name, the settings of a task or a Task, got {task!r}")
    if isinstance(task, Mapping):
        given = dict(task)
        if not isinstance(given.get("name"), str):
            raise ValueError(f'make_task: settings of a task need a "name", got {given}')
        return make_task(given.pop("name"), **{**given, **options})
    name = _AS_ENVIRONMENT.get(task, task)
    try:
        if name in TASKS:
            return TASKS[name](**options)
    except TypeError as error:
        raise ValueError(f"make_task: {name} does not take these options: {error}") from None
    import gymnasium

    if name not in gymnasium.registry:
        known = [*TASKS, *gymnasium.registry]
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise ValueError(f"make_task: unknown task {name!r}{hint} Own tasks: {', '.join(sorted(TASKS))}.")
    try:
        return GymnasiumTask(name, **options)
    except TypeError as error:
        raise ValueError(f"make_task: {name} does not take these options: {error}") from error
