#include "mail/log_lines.h"

#include "base/log.h"
#include "mail/address.h"

#define LINE_MAX_BYTES (4 * LOG_LINE_MAX)

static int delay_digits = 2;

void log_delays_digits(int digits)
{
	delay_digits = digits < 0 ? 0 : digits > 6 ? 6 : digits;
}

/*
 * Two significant digits below 100 seconds, whole seconds above, never more than
 * delay_digits decimals, no trailing zeros; what is below the resolution is "0".
 */
static void add_delay(struct buf *out, int64_t microseconds)
{
	int64_t unit = 1000000; /* value of the last digit shown */
	int decimals = 0;
	int64_t resolution = 1000000;
	for (int i = 0; i < delay_digits; i++)
		resolution /= 10;
	if (microseconds < resolution) {
		buf_add_char(out, '0');
		return;
	}
	while (decimals < delay_digits && microseconds < unit * 10) {
		unit /= 10;
		decimals++;
	}
	int64_t shown = (microseconds + unit / 2) / unit;
	while (decimals > 0 && shown % 10 == 0) {
		shown /= 10;
		decimals--;
	}
	int64_t scale = 1;
	for (int i = 0; i < decimals; i++)
		scale *= 10;
	buf_add_i64(out, shown / scale);
	if (decimals > 0)
		buf_add_char(out, '.');
	while ((scale /= 10) > 0)
		buf_add_char(out, (char)('0' + shown / scale % 10));
}

static void add_delays(struct buf *out, const struct log_delays *d)
{
	const int64_t parts[] = {d->before_qmgr, d->in_qmgr, d->setup, d->transmission};
	int64_t total = 0;
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		total += parts[i] > 0 ? parts[i] : 0;
	buf_add_cstr(out, ", delay=");
	add_delay(out, total);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		buf_add_cstr(out, i == 0 ? ", delays=" : "/");
		add_delay(out, parts[i]);
	}
}

static void add_address(struct buf *out, const char *label, struct str internal)
{
	buf_add_cstr(out, label);
	buf_add_char(out, '<');
	address_add_log(out, internal);
	buf_add_char(out, '>');
}

/* A line is made without a pause, so one buffer serves all. */
static struct buf *begin(struct str queue_id)
{
	static struct buf line = {.ceiling = LINE_MAX_BYTES};
	buf_clear(&line);
	buf_add_str(&line, queue_id);
	return &line;
}

static void end(const struct buf *line)
{
	log_text(LOG_LEVEL_INFO, buf_str(line));
}

static void add_field(struct buf *line, const char *label, struct str value)
{
	buf_add_cstr(line, label);
	buf_add_str(line, value);
}

void log_delivery(const struct log_delivery *d)
{
	struct buf *line = begin(d->queue_id);
	add_address(line, ": to=", d->recipient);
	if (d->original.len > 0 && !str_equal(d->original, d->recipient))
		add_address(line, ", orig_to=", d->original);
	add_field(line, ", relay=", d->relay);
	if (d->reused > 1) {
		buf_add_cstr(line, ", conn_use=");
		buf_add_u64(line, d->reused);
	}
	add_delays(line, &d->delays);
	add_field(line, ", dsn=", d->status);
	add_field(line, ", status=", str_of(d->word));
	/* The closing bracket must survive a long reason. */
	add_field(line, " (", str_slice(d->text, 0, LOG_LINE_MAX - line->len - 3));
	buf_add_char(line, ')');
	end(line);
}

void log_queue_active(
    struct str queue_id, struct str sender, int64_t size, uint32_t nrcpt)
{
	struct buf *line = begin(queue_id);
	add_address(line, ": from=", sender);
	buf_add_cstr(line, ", size=");
	buf_add_i64(line, size);
	buf_add_cstr(line, ", nrcpt=");
	buf_add_u64(line, nrcpt);
	buf_add_cstr(line, " (queue active)");
	end(line);
}

void log_expired(struct str queue_id, struct str sender, bool forced)
{
	struct buf *line = begin(queue_id);
	add_address(line, ": from=", sender);
	buf_add_cstr(line, forced ? ", status=force-" : ", status=");
	buf_add_cstr(line, "expired, returned to sender");
	end(line);
}

void log_removed(struct str queue_id)
{
	struct buf *line = begin(queue_id);
	buf_add_cstr(line, ": removed");
	end(line);
}

void log_message_id(struct str queue_id, struct str message_id, bool resent)
{
	struct buf *line = begin(queue_id);
	add_field(line, resent ? ": resent-message-id=" : ": message-id=", message_id);
	end(line);
}

void log_reject(const struct log_reject *r)
{
	struct buf *line = begin(r->queue_id.len > 0 ? r->queue_id : STR("NOQUEUE"));
	buf_printf(line, ": %s: %s from %.*s: %.*s", r->action, r->where,
	    STR_ARG(r->client), STR_ARG(r->text));
	const char *separator = ";";
	if (r->sender != NULL) {
		buf_add_cstr(line, separator);
		add_address(line, " from=", *r->sender);
		separator = "";
	}
	if (r->recipient != NULL) {
		buf_add_cstr(line, separator);
		add_address(line, " to=", *r->recipient);
		separator = "";
	}
	if (r->protocol.len > 0) {
		buf_printf(line, "%s proto=%.*s", separator, STR_ARG(r->protocol));
		separator = "";
	}
	if (r->helo.len > 0)
		buf_printf(line, "%s helo=<%.*s>", separator, STR_ARG(r->helo));
	end(line);
}

void log_content(const struct log_content *c)
{
	struct buf *line = begin(c->queue_id);
	buf_printf(line, ": %s: %s ", c->action, c->what);
	buf_add_str(line, str_slice(c->excerpt, 0, LOG_EXCERPT_MAX));
	buf_printf(line, " from %.*s;", STR_ARG(c->client));
	add_address(line, " from=", c->sender);
	if (c->recipient.len > 0)
		add_address(line, " to=", c->recipient);
	if (c->protocol.len > 0)
		add_field(line, " proto=", c->protocol);
	if (c->helo.len > 0)
		buf_printf(line, " helo=<%.*s>", STR_ARG(c->helo));
	if (c->text.len > 0)
		add_field(line, ": ", c->text);
	end(line);
}
