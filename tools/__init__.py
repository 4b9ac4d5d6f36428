"""What makes rotator's artefacts; no part of rotator."""
