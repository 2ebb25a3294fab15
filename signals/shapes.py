"""What signals and their executions look like in requests and answers (`nexgent.api.shapes`)."""

from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema

from nexgent.api.bodies import Body, Changes
from nexgent.api.shapes import Mint, Object, Shape, Stamp, Uuid

MintText = Annotated[
    str,
    WithJsonSchema(
        {
            "type": "string",
            "format": "solana-address",
            "description": "Address of a token: base58 of 32 bytes, in its exact case.",
            "examples": ["DezXAZ8z7PnrnRJjz3wXBoRgixCa6xjnB7YaB1pPB263"],
        }
    ),
]


class NewSignal(Body):
    """What `signals.request` reads, field by field."""

    token_address: MintText
    signal_type: str = Field(max_length=50, pattern=r"^[^\x00]*\S[^\x00]*$", description="Free text, not blank.")
    signal_strength: int = Field(ge=1, le=5)
    symbol: str | None = Field(default=None, max_length=50, pattern=r"^[^\x00]*$")
    activation_reason: str | None = Field(default=None, pattern=r"^[^\x00]*$")
    source: str | None = Field(default=None, max_length=100, pattern=r"^[^\x00]*$")
    side: Literal["buy", "sell"] | None = Field(default=None, description='Required when signalType is "SELL".')
    external_ref: str | None = Field(default=None, max_length=100, pattern=r"^[^\x00]*$")
    dry_run: bool | None = Field(default=None, description="Verdicts without orders.")


class SignalChanges(Changes):
    token_address: MintText = ""
    signal_type: str = Field(default="", max_length=50, pattern=r"^[^\x00]*\S[^\x00]*$")
    signal_strength: int = Field(default=1, ge=1, le=5)
    symbol: str | None = Field(default=None, max_length=50, pattern=r"^[^\x00]*$")
    activation_reason: str | None = Field(default=None, pattern=r"^[^\x00]*$")
    source: str | None = Field(default=None, max_length=100, pattern=r"^[^\x00]*$")
    side: Literal["buy", "sell"] | None = None
    external_ref: str | None = Field(default=None, max_length=100, pattern=r"^[^\x00]*$")


class SignalShape(Shape):
    id: int
    created_at: Stamp
    updated_at: Stamp
    token_address: Mint
    symbol: str | None
    signal_type: str
    activation_reason: str | None
    signal_strength: int = Field(ge=1, le=5)
    source: str | None
    side: Literal["buy", "sell"]
    external_ref: str | None
    dry_run: bool
    revision: int


class ExecutionShape(Shape):
    """What one agent made of a signal."""

    agent_id: Uuid
    status: Literal["PENDING", "EXECUTED", "FAILED", "SKIPPED"]
    reasons: list[str] = Field(description="lower_snake, all of them.")
    order_id: Uuid | None
    transaction_id: Uuid | None
    position_id: Uuid | None
    stages: dict[str, str] = Field(description="Times of received, verdict, order_committed, quoted, …")
    latency_ms: dict[str, int] = Field(description="Milliseconds from the first of them to each.")


class HookShape(Shape):
    """`prefix` is how the path begins; the rest of it is known to its owner only."""

    id: Uuid
    name: str
    prefix: str
    template: Object
    is_signed: bool
    window_seconds: int
    is_active: bool
    expires_at: Stamp | None
    addresses: list[str]
    created_at: Stamp


class NewHookShape(HookShape):
    """`path` and `secret` (null when the path alone is believed) are told here only."""

    path: str
    secret: str | None
