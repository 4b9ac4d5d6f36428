"""Libraries that print what passes through them are kept quiet, whatever the level of our own logs."""

import logging

_FROM = {
    "boto3": logging.WARNING,
    "botocore": logging.WARNING,  # at DEBUG requests and answers (boto3 documentation, set_stream_logger)
    "httpcore": logging.WARNING,  # at DEBUG an answer's headers
    "httpx": logging.WARNING,
    "urllib3": logging.ERROR,  # its warnings quote the lines of an answer's head that it cannot read
}


def hush() -> None:
    """Keep them at their level or above. May be called twice."""
    for name, level in _FROM.items():
        logger = logging.getLogger(name)
        if logger.level < level:
            logger.setLevel(level)
