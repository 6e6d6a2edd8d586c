// Loaded before emulate. It listens on every address of the machine, and its banner comes before it listens: a test's
// server is for this machine alone, and the test has to know when it is there. Node 18 of Debian 12 lacks the global.
import { webcrypto } from "node:crypto";
import { Server } from "node:net";

globalThis.crypto ??= webcrypto;

const { listen } = Server.prototype;
Server.prototype.listen = function (port) {
  this.once("listening", () => console.error("listening"));
  return listen.call(this, port, "127.0.0.1");
};
