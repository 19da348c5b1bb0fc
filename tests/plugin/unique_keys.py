"""YAML in which a key that is used twice is an error, as for Salt's loader; PyYAML takes the last one, without a word."""

import yaml


class UniqueKeys(yaml.SafeLoader):
    """Raises ConstructorError at the second of two keys."""

    def construct_mapping(self, node, deep=False):
        known = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=deep)
            if key in known:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} is used twice", key_node.start_mark)
            known.add(key)
        return super().construct_mapping(node, deep)


def load(text):
    """The document of a text."""
    return yaml.load(text, Loader=UniqueKeys)
