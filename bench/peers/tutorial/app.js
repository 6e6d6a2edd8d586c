// The receiver that Okta's tutorial "Build Easy User Sync Webhooks with Okta" leads to: Express and SQLite.
//
// `node app.js FILE` answers at once, as the tutorial does, and leaves the insert to run when it can. `node app.js FILE
// durable` answers after the insert, with the settings under which SQLite keeps what it has said it keeps: the fairest
// form that the same program has.
import express from "express";
import sqlite3 from "sqlite3";

const [file, form] = process.argv.slice(2);
const durable = form === "durable";
const secret = process.env.SECRET;

const db = new sqlite3.Database(file);
db.serialize(() => {
  if (durable) {
    db.run("PRAGMA journal_mode = WAL");
    db.run("PRAGMA synchronous = FULL");
  }
  db.run("CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, userID TEXT, name TEXT, email TEXT)", listen);
});

const app = express();
app.use(express.json());

// Okta's verification: give back the challenge.
app.get("/userTransfer", (request, response) => {
  response.json({ verification: request.get("x-okta-verification-challenge") });
});

app.post("/userTransfer", (request, response) => {
  if (request.get("authorization") !== secret) {
    response.sendStatus(401);
    return;
  }
  const users = request.body.data.events.map((event) => event.target[0]);
  if (durable) {
    insert(users, (error) => response.sendStatus(error ? 500 : 200));
  } else {
    insert(users, (error) => error && console.error(`error: ${error.message}`));
    response.sendStatus(200);
  }
});

app.get("/getUsers", (request, response) => {
  db.all("SELECT * FROM users", (error, rows) => (error ? response.sendStatus(500) : response.json(rows)));
});

// All users of a request in one statement: one transaction, where one each would cost as many.
function insert(users, done) {
  const values = users.flatMap((user) => [user.id, user.displayName, user.alternateId]);
  const places = users.map(() => "(?, ?, ?)").join(", ");
  db.run(`INSERT INTO users (userID, name, email) VALUES ${places}`, values, done);
}

function listen() {
  const server = app.listen(0, "127.0.0.1", () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
  });
  // Standard input is the benchmark's pipe: it closes when the benchmark is gone.
  process.stdin.resume().on("end", () => process.exit());
}
