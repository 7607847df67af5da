"""Episodes side by side, as EPyMARL lays them out.

Letters: B episodes, T stored steps (the episode limit + 1), N agents.
"""

from types import SimpleNamespace
from typing import Any, Mapping, Sequence

import numpy as np
import torch as th

__all__ = ["EpisodeBatch", "complete_scheme", "field_shape"]

Scheme = dict[str, dict[str, Any]]
Preprocess = Mapping[str, tuple[str, Sequence[Any]]]

_FILLED = "filled"
_DEFAULT_DTYPE = th.float32


class EpisodeBatch:
    """B episodes of up to T steps; every field of the scheme is one tensor.

    A field is [B, T, *vshape], or [B, T, N, *vshape] where it names a group of N members, or
    [B, *vshape] where it is `episode_const`. `filled` [B, T, 1] int64 is added: 1 where a step was
    played. Unwritten entries are 0.

    Args:
        scheme: field -> {"vshape": int or tuple, "dtype": torch dtype (default float32),
            "group": name (default none), "episode_const": bool (default False)}.
        groups: group -> number of members.
        batch_size, max_seq_length: B and T.
        data: namespace with the dicts `transition_data` and `episode_data` to use as they are.
        preprocess: field -> (name of the derived field, transforms applied in turn).
        device: where the tensors live.

    Raises:
        ValueError: `filled` in the scheme, a field without vshape, an unknown group or field.
    """

    def __init__(
        self,
        scheme: Scheme,
        groups: Mapping[str, int],
        batch_size: int,
        max_seq_length: int,
        data: SimpleNamespace | None = None,
        preprocess: Preprocess | None = None,
        device: Any = "cpu",
    ):
        self.scheme = dict(scheme)
        self.groups = groups
        self.batch_size = batch_size
        self.max_seq_length = max_seq_length
        self.preprocess = {} if preprocess is None else preprocess
        self.device = device
        if data is not None:
            self.data = data
        else:
            self.data = SimpleNamespace(transition_data={}, episode_data={})
            self.scheme = complete_scheme(self.scheme, self.preprocess)
            self._allocate(self.scheme, groups)

    def extend(self, scheme: Scheme, groups: Mapping[str, int] | None = None) -> None:
        """Add the fields of `scheme`, filled with zeros."""
        self._allocate(scheme, self.groups if groups is None else groups)
        self.scheme.update(scheme)

    def to(self, device: Any) -> None:
        """Move every field to `device`."""
        for fields in (self.data.transition_data, self.data.episode_data):
            for key, value in fields.items():
                fields[key] = value.to(device)
        self.device = device

    def update(
        self,
        data: Mapping[str, Any],
        bs: Any = slice(None),
        ts: Any = slice(None),
        mark_filled: bool = True,
    ) -> None:
        """Write fields, and the fields derived from them.

        Args:
            data: field -> tensor, array or list with as many entries as the slot, in the same order
                (dimensions of length 1 may be left out or added).
            bs: episodes: index, slice or list.
            ts: steps: index or slice.
            mark_filled: whether the written steps count as played.

        Raises:
            KeyError: a field that is not in the scheme.
            ValueError: a shape that does not fit.
        """
        where = self._parse_slices((bs, ts))
        for key, value in data.items():
            if key in self.data.transition_data:
                target, slot = self.data.transition_data, tuple(where)
                if mark_filled:
                    target[_FILLED][slot] = 1
                    mark_filled = False
            elif key in self.data.episode_data:
                target, slot = self.data.episode_data, (where[0],)
            else:
                raise KeyError(
                    f"episode batch: unknown field {key!r}. Known: {', '.join(sorted(self.scheme))}."
                )
            dtype = self.scheme[key].get("dtype", _DEFAULT_DTYPE)
            if not isinstance(value, th.Tensor):
                value = th.as_tensor(np.asarray(value), dtype=dtype, device=self.device)
            target[key][slot] = _fitted(key, value, target[key][slot])
            if key in self.preprocess:
                self._derive(key, target, slot)

    def __getitem__(self, item: Any) -> Any:
        """A field by its name, a batch of some fields by a tuple of names, or a batch by [episodes, steps].

        Slices share memory with this batch; lists of episodes copy.
        """
        if isinstance(item, str):
            return self._field(item)
        if isinstance(item, tuple) and all(isinstance(name, str) for name in item):
            return self._with_fields(item)
        where = self._parse_slices(item)
        taken = SimpleNamespace(
            transition_data={key: value[tuple(where)] for key, value in self.data.transition_data.items()},
            episode_data={key: value[where[0]] for key, value in self.data.episode_data.items()},
        )
        n_episodes = _n_items(where[0], self.batch_size)
        n_steps = _n_items(where[1], self.max_seq_length)
        return EpisodeBatch(self.scheme, self.groups, n_episodes, n_steps, data=taken, device=self.device)

    def max_t_filled(self) -> th.Tensor:
        """[] int64; steps of the longest episode, its last (unplayed) state included."""
        return self.data.transition_data[_FILLED].sum(dim=1).max(dim=0).values[0]

    def __repr__(self) -> str:
        return (
            f"EpisodeBatch of {self.batch_size} episodes, {self.max_seq_length} steps. "
            f"Fields: {', '.join(self.scheme)}. Groups: {', '.join(self.groups)}."
        )

    def _allocate(self, scheme: Scheme, groups: Mapping[str, int]) -> None:
        for key, info in scheme.items():
            shape = field_shape(key, info, groups)
            dtype = info.get("dtype", _DEFAULT_DTYPE)
            if info.get("episode_const", False):
                self.data.episode_data[key] = th.zeros(
                    (self.batch_size, *shape), dtype=dtype, device=self.device
                )
            else:
                shape = (self.batch_size, self.max_seq_length, *shape)
                self.data.transition_data[key] = th.zeros(shape, dtype=dtype, device=self.device)

    def _derive(self, key: str, target: dict[str, th.Tensor], slot: tuple[Any, ...]) -> None:
        name, transforms = self.preprocess[key]
        value = target[key][slot]
        for transform in transforms:
            value = transform.transform(value)
        target[name][slot] = value.view_as(target[name][slot])

    def _field(self, name: str) -> th.Tensor:
        for fields in (self.data.episode_data, self.data.transition_data):
            if name in fields:
                return fields[name]
        raise ValueError(f"episode batch: unknown field {name!r}. Known: {', '.join(sorted(self.scheme))}.")

    def _with_fields(self, names: tuple[str, ...]) -> "EpisodeBatch":
        taken = SimpleNamespace(transition_data={}, episode_data={})
        for name in names:
            if name in self.data.transition_data:
                taken.transition_data[name] = self.data.transition_data[name]
            elif name in self.data.episode_data:
                taken.episode_data[name] = self.data.episode_data[name]
            else:
                raise KeyError(
                    f"episode batch: unknown field {name!r}. Known: {', '.join(sorted(self.scheme))}."
                )
        scheme = {name: self.scheme[name] for name in names}
        groups = {info["group"]: self.groups[info["group"]] for info in scheme.values() if "group" in info}
        return EpisodeBatch(
            scheme, groups, self.batch_size, self.max_seq_length, data=taken, device=self.device
        )

    def _parse_slices(self, items: Any) -> list[Any]:
        """[episodes, steps], each a slice, list or index tensor; a single index becomes a slice of one."""
        if isinstance(items, (slice, int, np.integer, list, np.ndarray)):
            items = (items, slice(None))
        elif isinstance(items, th.Tensor):
            items = (items if items.dim() else int(items), slice(None))
        if len(items) != 2:
            raise IndexError(f"episode batch: {len(items)} indices were given. Use [episodes, steps].")
        if isinstance(items[1], (list, np.ndarray)):
            raise IndexError("episode batch: steps must be one index or a slice, not a list.")
        return [_as_slice(item) for item in items]


def complete_scheme(scheme: Scheme, preprocess: Preprocess) -> Scheme:
    """`scheme` with the derived fields and `filled`.

    Raises:
        ValueError: `filled` is taken, or a field to derive from is unknown.
    """
    if _FILLED in scheme:
        raise ValueError(
            "episode batch: the field name 'filled' is reserved. Rename that field of the scheme."
        )
    whole: Scheme = dict(scheme)
    for key, (name, transforms) in preprocess.items():
        if key not in whole:
            raise ValueError(f"episode batch: {name!r} derives from {key!r}, which is not in the scheme.")
        vshape, dtype = whole[key]["vshape"], whole[key].get("dtype", _DEFAULT_DTYPE)
        for transform in transforms:
            vshape, dtype = transform.infer_output_info(vshape, dtype)
        whole[name] = {"vshape": vshape, "dtype": dtype}
        whole[name].update(
            {info: whole[key][info] for info in ("group", "episode_const") if info in whole[key]}
        )
    whole[_FILLED] = {"vshape": (1,), "dtype": th.long}
    return whole


def field_shape(key: str, info: Mapping[str, Any], groups: Mapping[str, int]) -> tuple[int, ...]:
    """Shape of one entry of a field, its group's members first.

    Raises:
        ValueError: no vshape, or a group that is not known.
    """
    if "vshape" not in info:
        raise ValueError(f"episode batch: the scheme gives no vshape for {key!r}. Add one.")
    vshape = (info["vshape"],) if isinstance(info["vshape"], (int, np.integer)) else tuple(info["vshape"])
    group = info.get("group")
    if group is None:
        return vshape
    if group not in groups:
        raise ValueError(
            f"episode batch: {key!r} has the group {group!r}. Known: {', '.join(groups) or 'none'}."
        )
    return (groups[group], *vshape)


def _as_slice(item: Any) -> Any:
    if isinstance(item, th.Tensor) and item.dim() == 0:
        item = int(item)
    if isinstance(item, (int, np.integer)):
        return slice(int(item), int(item) + 1 or None)
    if isinstance(item, slice):  # bounds may be 0-dimensional tensors
        return slice(*(None if end is None else int(end) for end in (item.start, item.stop, item.step)))
    return item


def _n_items(item: Any, size: int) -> int:
    return len(range(*item.indices(size))) if isinstance(item, slice) else len(item)


def _fitted(key: str, value: th.Tensor, slot: th.Tensor) -> th.Tensor:
    """`value` in the shape of `slot`; only dimensions of length 1 may come or go."""
    given = [length for length in value.shape if length != 1]
    wanted = [length for length in slot.shape if length != 1]
    if given != wanted:
        raise ValueError(
            f"episode batch: {key} has shape {tuple(value.shape)}, expected {tuple(slot.shape)} "
            "up to dimensions of length 1."
        )
    return value.reshape(slot.shape)
