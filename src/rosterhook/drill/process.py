"""`python -m rosterhook.drill.process web|worker`: the product's own process, with a clock that the drill can shift."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path

from sqlalchemy.engine import make_url

from rosterhook.config import Config
from rosterhook.config.load import load_config
from rosterhook.drill.clock import shifted
from rosterhook.observe import configure_logging
from rosterhook.service import run_until_signal
from rosterhook.web import run_web
from rosterhook.worker import run_worker


def main() -> None:
    """Run one of the two until SIGTERM, or until the drill has died."""
    parser = ArgumentParser(prog="rosterhook.drill.process")
    parser.add_argument("name", choices=("web", "worker"))
    parser.add_argument("--clock", type=Path, required=True)
    parser.add_argument("--listen-fd", type=int)
    options = parser.parse_args()
    config = load_config()
    configure_logging(config.log, _secrets_of(config))
    clock = shifted(options.clock)
    if options.name == "web":
        run_until_signal(lambda stop: run_web(config, stop, options.listen_fd, clock=clock), watch_stdin=True)
    else:
        run_until_signal(lambda stop: run_worker(config, stop, clock=clock), watch_stdin=True)


def _secrets_of(config: Config) -> list[str]:
    passwords = [make_url(target.url.get_secret_value()).password for target in config.targets]
    found = [config.server.admin_token, config.okta.token, config.hook.secret]
    return [secret.get_secret_value() for secret in found if secret is not None] + [p for p in passwords if p]


if __name__ == "__main__":
    main()
