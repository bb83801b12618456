"""An in-memory API server that answers as kube-apiserver 1.37 does, for the kinds we touch.

Two halves. What an object may be: ``types`` (a ``Kind`` for each served resource, a ``Catalog`` of
them), ``schema``, ``cel``, ``builtin``, ``custom`` and ``managedfields``. How it is stored and
served: ``server``, ``storage``, ``watch``, ``patches``, ``garbage``, ``client``, ``transport``.

A write goes through a kind in the order of the real server:

1. ``kind.decode(body)``: types checked, unknown fields pruned and named, defaults filled in.
2. ``managedfields.update`` or ``managedfields.apply``: who owns what.
3. ``kind.admit`` or ``kind.admit_update``: what the default admission plugins fill in.
4. ``kind.prepare_create`` or ``kind.prepare_update``: status, generation and system metadata.
5. ``kind.validate(new, old, subresource)``: the causes of a 422, none for a valid object.
6. The object is stored, if it differs from what is stored.
"""
