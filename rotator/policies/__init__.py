"""From YAML to policies, or to every reason why not."""
