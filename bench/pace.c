/* Sends mail at a fixed rate and tells how long the 250 took: pace PORT SESSIONS RATE
 * SECONDS SIZE RECIPIENT
 *
 * Open loop: message i is due at start + i / RATE whatever became of those before, and
 * its time runs from when it was due, so that a server that stalls is charged for all who
 * waited. Kept connections to 127.0.0.1, one command at a time as smtp-source does it.
 * The first WARM_SECONDS are not counted. Prints `messages N`, `waited N` (found no free
 * session) and `quantile Q MICROSECONDS` lines; any reply but the expected one ends it
 * with exit code 1. Not installed, links nothing of src/. */
#include <arpa/inet.h>
#include <err.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define WARM_SECONDS    2
#define STALLED_SECONDS 30
#define LINE_LENGTH     72
#define NANO            1000000000LL
#define EVENTS          256

/* What the session waits for. */
enum state { GREETING, HELO, IDLE, MAIL, RCPT, DATA, END, STATES };

struct session {
	int fd;
	enum state state;
	long message; /* index of the one under way */
	size_t have;  /* bytes of `reply` */
	char reply[512];
	struct session *next_idle;
};

struct pace {
	int epoll;
	long sessions, total, warm;
	double rate;
	int64_t start; /* when message 0 is due, nanoseconds */
	long next;     /* the first that was not given to a session */
	long done, waited;
	struct session *all, *idle;
	uint32_t *took; /* microseconds of each message */
	char *rcpt, *text;
	size_t text_length;
};

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NANO + t.tv_nsec;
}

static int64_t due(const struct pace *pace, long message)
{
	return pace->start + (int64_t)((double)message / pace->rate * (double)NANO);
}

static void say(const struct session *session, const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t sent = send(session->fd, bytes, length, MSG_NOSIGNAL);

		if (sent < 0)
			err(1, "send");
		bytes += sent;
		length -= (size_t)sent;
	}
}

static void say_text(const struct session *session, const char *text)
{
	say(session, text, strlen(text));
}

static void begin(struct pace *pace, struct session *session)
{
	session->message = pace->next++;
	session->state = MAIL;
	say_text(session, "MAIL FROM:<a@bench.example>\r\n");
}

static void become_idle(struct pace *pace, struct session *session)
{
	session->state = IDLE;
	session->next_idle = pace->idle;
	pace->idle = session;
}

/* Messages that are due go to free sessions; those that find none wait, and their time
 * runs. */
static void begin_due(struct pace *pace, int64_t time)
{
	while (pace->idle && pace->next < pace->total && due(pace, pace->next) <= time) {
		struct session *session = pace->idle;

		pace->idle = session->next_idle;
		begin(pace, session);
	}
}

static void finish(struct pace *pace, struct session *session)
{
	int64_t time = now();

	pace->took[session->message] =
	    (uint32_t)((time - due(pace, session->message)) / 1000);
	pace->done++;
	if (pace->next < pace->total && due(pace, pace->next) <= time) {
		pace->waited++;
		begin(pace, session);
	} else {
		become_idle(pace, session);
	}
}

/* The reply that each state waits for. */
static const char *const expected[STATES] = {
    [GREETING] = "220",
    [HELO] = "250",
    [IDLE] = "?",
    [MAIL] = "250",
    [RCPT] = "250",
    [DATA] = "354",
    [END] = "250",
};

static void got_reply(struct pace *pace, struct session *session)
{
	if (strncmp(session->reply, expected[session->state], 3) != 0)
		errx(1, "unexpected reply in state %d: %.80s", (int)session->state,
		    session->reply);
	switch (session->state) {
	case GREETING:
		session->state = HELO;
		say_text(session, "HELO bench.example\r\n");
		break;
	case HELO:
		become_idle(pace, session);
		break;
	case MAIL:
		session->state = RCPT;
		say_text(session, pace->rcpt);
		break;
	case RCPT:
		session->state = DATA;
		say_text(session, "DATA\r\n");
		break;
	case DATA:
		session->state = END;
		say(session, pace->text, pace->text_length);
		break;
	default:
		finish(pace, session);
	}
}

/* After HELO every reply is one line. */
static void readable(struct pace *pace, struct session *session)
{
	size_t room = sizeof(session->reply) - 1 - session->have;
	ssize_t got =
	    recv(session->fd, session->reply + session->have, room, MSG_DONTWAIT);

	if (got <= 0)
		errx(1, "connection lost in state %d", (int)session->state);
	session->have += (size_t)got;
	session->reply[session->have] = '\0';
	if (session->have == sizeof(session->reply) - 1)
		errx(1, "long reply: %.80s", session->reply);
	if (session->reply[session->have - 1] == '\n') {
		session->have = 0;
		got_reply(pace, session);
	}
}

static void open_session(const struct pace *pace, struct session *session, int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
	    .sin_port = htons((uint16_t)port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = session};

	session->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (session->fd < 0 ||
	    connect(session->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		err(1, "connect to port %d", port);
	if (epoll_ctl(pace->epoll, EPOLL_CTL_ADD, session->fd, &event) < 0)
		err(1, "epoll_ctl");
}

/* One wait, at most until `until`. */
static void turn(struct pace *pace, int64_t until)
{
	struct epoll_event events[EVENTS];
	int64_t left = until - now();
	struct timespec timeout = {.tv_sec = 0, .tv_nsec = 0};
	int count;

	if (left > 0)
		timeout =
		    (struct timespec){.tv_sec = left / NANO, .tv_nsec = left % NANO};
	count = epoll_pwait2(pace->epoll, events, EVENTS, &timeout, NULL);
	if (count < 0)
		err(1, "epoll_pwait2");
	for (int i = 0; i < count; i++)
		readable(pace, events[i].data.ptr);
}

static void open_all(struct pace *pace, int port)
{
	int64_t give_up = now() + STALLED_SECONDS * NANO;
	long idle = 0;

	for (long i = 0; i < pace->sessions; i++)
		open_session(pace, &pace->all[i], port);
	while (idle < pace->sessions && now() < give_up) {
		turn(pace, give_up);
		idle = 0;
		for (struct session *session = pace->idle; session;
		     session = session->next_idle)
			idle++;
	}
	if (idle < pace->sessions)
		errx(1, "only %ld of %ld sessions were greeted", idle, pace->sessions);
}

static void send_all(struct pace *pace)
{
	int64_t moved = now();
	long last = 0;

	pace->start = now();
	while (pace->done < pace->total) {
		int64_t time = now(), until = time + NANO;

		begin_due(pace, time);
		if (pace->idle && pace->next < pace->total &&
		    due(pace, pace->next) < until)
			until = due(pace, pace->next);
		turn(pace, until);
		if (pace->done != last) {
			last = pace->done;
			moved = time;
		} else if (time - moved > STALLED_SECONDS * NANO) {
			errx(1, "%ld of %ld messages unanswered",
			    pace->total - pace->done, pace->total);
		}
	}
}

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void report(const struct pace *pace)
{
	static const double quantiles[] = {0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95,
	    0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9999, 1};
	uint32_t *counted = pace->took + pace->warm;
	size_t count = (size_t)(pace->total - pace->warm);

	qsort(counted, count, sizeof(*counted), by_size);
	printf("messages %zu\nwaited %ld\n", count, pace->waited);
	for (size_t i = 0; i < sizeof(quantiles) / sizeof(*quantiles); i++) {
		size_t at = (size_t)(quantiles[i] * (double)count);

		printf("quantile %g %u\n", quantiles[i],
		    (unsigned)counted[at < count ? at : count - 1]);
	}
}

/* A header and lines of x, `size` bytes of body, and the end of data. */
static void make_text(struct pace *pace, size_t size)
{
	static const char header[] = "Subject: paced\r\n\r\n", end[] = "\r\n.\r\n";
	size_t at = sizeof(header) - 1;

	pace->text_length = at + size + sizeof(end) - 1;
	pace->text = malloc(pace->text_length + 1);
	if (!pace->text)
		err(1, "memory");
	memset(pace->text, 'x', pace->text_length);
	memcpy(pace->text, header, at);
	for (size_t i = LINE_LENGTH; i + 2 < size; i += LINE_LENGTH)
		memcpy(pace->text + at + i, "\r\n", 2);
	memcpy(pace->text + at + size, end, sizeof(end));
}

static long number(const char *text, long most)
{
	char *end;
	long value = strtol(text, &end, 10);

	if (*end != '\0' || value < 1 || value > most)
		errx(2, "not a number from 1 to %ld: %s", most, text);
	return value;
}

int main(int argc, char **argv)
{
	struct pace pace = {.epoll = epoll_create1(EPOLL_CLOEXEC)};

	if (argc != 7)
		errx(2, "usage: pace PORT SESSIONS RATE SECONDS SIZE RECIPIENT");
	pace.sessions = number(argv[2], 10000);
	pace.rate = (double)number(argv[3], 1000000);
	pace.warm = (long)pace.rate * WARM_SECONDS;
	pace.total = pace.warm + (long)pace.rate * number(argv[4], 3600);
	make_text(&pace, (size_t)number(argv[5], 1 << 20));
	pace.all = calloc((size_t)pace.sessions, sizeof(*pace.all));
	pace.took = calloc((size_t)pace.total, sizeof(*pace.took));
	if (pace.epoll < 0 || !pace.all || !pace.took ||
	    asprintf(&pace.rcpt, "RCPT TO:<%s>\r\n", argv[6]) < 0)
		err(1, "start");
	/* Sleeps end when they should, not up to 50 us later. */
	prctl(PR_SET_TIMERSLACK, 1);
	open_all(&pace, (int)number(argv[1], 65535));
	send_all(&pace);
	report(&pace);
	return 0;
}
