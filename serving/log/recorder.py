"""The recorder of a service: answers and labels into the spool, and from there into the database."""

from pathlib import Path
from typing import TYPE_CHECKING

from serving.log.record import Answered, Feedback
from serving.log.rows import Encoder
from serving.log.settings import LogSettings
from serving.log.spool import Writer
from serving.metrics import Metrics

if TYPE_CHECKING:
    from serving.log.drain import Drain


class LogRecorder:
    """Keeps what is answered, from any thread; a request costs some 20 us and 5 us more for each further text.

    `answered` and `feedback` wait for no database and raise nothing for want of room: what cannot be kept is dropped
    and counted.
    """

    def __init__(self, settings: LogSettings, metrics: Metrics) -> None:
        """Raises SettingsError where texts are to be hashed and the environment has no key."""
        self.settings, self.metrics = settings, metrics
        self._encoder = Encoder(settings)
        self._spool: Writer | None = None
        self._drain: Drain | None = None

    def start(self) -> None:
        """Open the spool and start to drain it, whether or not the database can be reached now.

        Raises TidegateError where the database's schema is newer than this program, SettingsError on a URL or driver
        that is wrong.
        """
        from serving.log.drain import Drain

        self._spool = Writer(Path(self.settings.spool), self.settings.spool_mb << 20)
        self._drain = Drain(self.settings, self.metrics, self._spool)
        self._drain.start()

    def stop(self, timeout: float) -> bool:
        """Take nothing more and move what is left into the database; whether all of it is there.

        What is not stays in the spool, and the next service on this machine takes care of it.
        """
        if self._spool is None or self._drain is None:
            return True
        self._spool.close()
        drain, self._drain = self._drain, None
        return drain.stop(timeout)

    def answered(self, answers: Answered) -> None:
        """Keep the answers to one request. On disk when this returns."""
        if self._spool is not None and answers.texts:
            self._spool.append(self._encoder.answers(answers))

    def feedback(self, given: Feedback) -> None:
        """Keep the true label of a text, whether or not its answer has been drained into the database."""
        if self._spool is not None:
            self._spool.append(self._encoder.feedback(given))
