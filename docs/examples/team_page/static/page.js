// Shows the events of the server as they come. All text is set as text, never as HTML.

const SHOWN = 200; // events that the page keeps
const SILENCE = 40_000; // ms without an event, after which the connection is dead: the server sends one every 15 s
const STATES = {
  connecting: "Connecting",
  live: "Live",
  lost: "Connection lost. Trying again",
  unavailable: "No notifications reach the server. Trying again",
};
const ACTIONS = {
  Create: ["created", "New"],
  Update: ["changed", "Changed"],
  Delete: ["deleted", "Deleted"],
  StatusChange: ["status", "Status"],
  AnnotationAdded: ["note", "Note added"],
  AnnotationEdited: ["note", "Note edited"],
  AnnotationDeleted: ["note", "Note deleted"],
};
const STATUSES = { Scheduled: "scheduled", InProgress: "in progress", Completed: "completed", InvalidSchedule: "invalid schedule" };

const $ = (id) => document.getElementById(id);
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
let people = {};
let unseen = 0;

function element(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

const named = (text) => element("bdi", {}, text); // a name may change the direction of what follows

function time(format, date) {
  return element("time", { dateTime: date.toISOString() }, format.format(date));
}

function person(user) {
  return named(people[user?.id] ?? "A member of the team");
}

// The connection

let source = null;
let lastEventId = "";
let heard = 0;
let retry = 0;

function connect() {
  clearTimeout(retry);
  source?.close();
  heard = Date.now();
  source = new EventSource(lastEventId ? `events?last_event_id=${encodeURIComponent(lastEventId)}` : "events");
  for (const [name, handle] of Object.entries({ alive, notification, missed, unavailable })) {
    source.addEventListener(name, (event) => {
      heard = Date.now();
      lastEventId = event.lastEventId;
      handle(JSON.parse(event.data));
    });
  }
  source.addEventListener("error", () => {
    if ($("state").dataset.state !== "unavailable") show("lost");
    // The browser reconnects by itself after a lost connection, but never after a refusal: of a proxy, while the server restarts.
    if (source.readyState === EventSource.CLOSED) retry = setTimeout(connect, 2000 + Math.random() * 3000);
  });
}

function show(state) {
  if ($("state").dataset.state === state) return;
  $("state").dataset.state = state;
  $("state").textContent = STATES[state];
}

// A computer that slept has missed the end of its connection.
setInterval(() => Date.now() - heard > SILENCE && connect(), 5000);
addEventListener("online", connect);

// Events

function alive() {
  show("live");
}

function unavailable() {
  show("unavailable");
}

function notification(about) {
  show("live");
  const [kind, label] = ACTIONS[about.actionType] ?? ["changed", about.actionType ?? "Changed"];
  const facts = element("p", { className: "facts" }, person(about.user));
  if (about.dateStart) facts.append(" · ", time(day, new Date(about.dateStart)));
  if (about.lengthInMinutes) facts.append(` · ${about.lengthInMinutes} min`);
  const status = about.actionType === "StatusChange" && about.status;
  const item = element("li", { className: kind },
    element("div", { className: "what" },
      element("p", {},
        element("span", { className: "label" }, label), " ",
        element("strong", {}, named(about.name ?? "An appointment")),
        ...(status ? [" ", element("span", { className: "pill" }, STATUSES[status] ?? status)] : [])),
      time(clock, new Date())),
    facts);
  $("empty").hidden = true;
  $("feed").prepend(item);
  while ($("feed").children.length > SHOWN) $("feed").lastChild.remove();
  if (document.hidden) title(unseen + 1);
  refresh();
}

let lost = 0; // notifications that this page has missed; NaN if the number is not known

function missed({ count }) {
  show("live");
  lost += count ?? NaN;
  const what = Number.isNaN(lost) ? "Some notifications" : lost === 1 ? "One notification" : `${lost} notifications`;
  $("missed").querySelector("p").textContent = `${what} did not reach this page. The next appointments are up to date.`;
  $("missed").hidden = false;
  refresh();
}

$("missed").querySelector("button").addEventListener("click", () => {
  $("missed").hidden = true;
  lost = 0;
});

function title(count) {
  unseen = count;
  document.title = `${count ? `(${count}) ` : ""}Coaching ${$("team").textContent}`.trim();
}

addEventListener("visibilitychange", () => document.hidden || title(0));

// The next appointments: read at the start, and again when something has happened

let refreshing = 0;

function refresh() {
  clearTimeout(refreshing);
  refreshing = setTimeout(read, 500);
}

async function read() {
  try {
    const answer = await fetch("appointments");
    if (!answer.ok) throw new Error(answer.statusText);
    const found = await answer.json();
    $("next").replaceChildren(...found.map((each) => element("li", {},
      element("p", {}, element("strong", {}, named(each.name ?? "An appointment"))),
      element("p", { className: "facts" },
        time(day, new Date(each.dateStart)), ` · ${each.lengthInMinutes} min`,
        ...(each.attendees ?? []).filter(({ id }) => id in people).flatMap((user) => [" · ", person(user)])))));
    $("none").hidden = found.length > 0;
  } catch {
    refreshing = setTimeout(read, 10_000);
  }
}

async function begin() {
  try {
    const team = await (await fetch("team")).json();
    people = team.people;
    $("team").textContent = team.name;
    title(0);
    connect();
    await read();
  } catch {
    show("lost");
    setTimeout(begin, 2000 + Math.random() * 3000);
  }
}

begin();
