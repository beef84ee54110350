// The connection to `unmask play`: the token comes in the fragment of the address and stays in this tab.

const KEPT = 'unmask-token';
const AGAIN_MS = 1500;

function token() {
  const given = location.hash.slice(1);
  if (given) {
    sessionStorage.setItem(KEPT, given);
    history.replaceState(null, '', location.pathname);
  }
  return sessionStorage.getItem(KEPT) ?? '';
}

/** Connects, and again whenever the connection goes; `hear` gets every message, `lost` one line for people. */
export function connect(hear, lost) {
  const key = token();
  let socket;
  function open() {
    socket = new WebSocket(`ws://${location.host}/socket`, ['unmask', key || 'none']);
    let greeted = false;
    socket.onmessage = (event) => {
      greeted = true;
      hear(JSON.parse(event.data));
    };
    socket.onclose = (event) => {
      if (event.code === 1009) lost('the text is too long: at most a megabyte');
      else if (greeted) lost('unmask play has ended, or the connection broke: trying again');
      else lost('not let in: open the whole address that unmask play has printed');
      setTimeout(open, AGAIN_MS);
    };
  }
  open();
  return (message) => {
    if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
  };
}
