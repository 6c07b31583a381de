"""What Dhan says when it says no: `{"errorType", "errorCode", "errorMessage"}` with DH-901 … DH-910 or a data code."""

from fastapi import Request
from fastapi.responses import JSONResponse

from services.sandbox.ports import Refusal, Why

_TYPES = {
    "DH-901": ("Invalid_Authentication", 401),
    "DH-902": ("Invalid_Access", 403),
    "DH-903": ("User_Account", 403),
    "DH-904": ("Rate_Limit", 429),
    "DH-905": ("Input_Exception", 400),
    "DH-906": ("Order_Error", 400),
    "DH-907": ("Data_Error", 404),
    "DH-908": ("Internal_Server_Error", 500),
    "DH-909": ("Network_Error", 502),
    "DH-910": ("Others", 400),
}
_DATA_STATUS = {"804": 400, "805": 429, "806": 403, "807": 401, "811": 400, "812": 400, "813": 400, "814": 400}
_BY_REASON = {
    Why.UNKNOWN_INSTRUMENT: "DH-905",
    Why.BAD_VALUE: "DH-905",
    Why.UNKNOWN_ORDER: "DH-906",
    Why.KILL_SWITCH: "DH-903",
}


class DhanProblem(Exception):
    """A refusal in Dhan's terms. `code` is DH-9xx, or the bare number of a data error (800, 804–814)."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message

    @property
    def status(self) -> int:
        """Of the HTTP answer."""
        return _TYPES[self.code][1] if self.code in _TYPES else _DATA_STATUS[self.code]

    def body(self) -> dict[str, object]:
        """Data errors are told both ways that Dhan's own pages show them."""
        if self.code in _TYPES:
            return {"errorType": _TYPES[self.code][0], "errorCode": self.code, "errorMessage": self.message}
        return {
            "errorType": "Data_Error",
            "errorCode": self.code,
            "errorMessage": self.message,
            "data": {self.code: self.message},
            "status": "failed",
        }


def of_refusal(refusal: Refusal) -> DhanProblem:
    """Every rule of the exchange is an order error, except what is wrong with the request itself."""
    return DhanProblem(_BY_REASON.get(refusal.why, "DH-906"), refusal.text)


async def answer_problem(request: Request, problem: Exception) -> JSONResponse:
    """The exception handler for both kinds of no."""
    told = problem if isinstance(problem, DhanProblem) else None
    if told is None:
        assert isinstance(problem, Refusal)
        told = of_refusal(problem)
    return JSONResponse(told.body(), status_code=told.status)


def error_body(status: int, text: str) -> dict[str, object]:
    """What stands in front of the face (limits, faults) says in Dhan's words."""
    if status == 429:
        return DhanProblem("DH-904", "Too many requests on server from single user breaching rate limits.").body()
    code = next((code for code, (_, known) in _TYPES.items() if known == status), "DH-908")
    return DhanProblem(code, text).body()
