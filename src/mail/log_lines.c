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
		buf_printf(out, ".%0*lld", decimals, (long long)(shown % scale));
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

static void put(struct buf *line)
{
	log_info("%.*s", STR_ARG(buf_str(line)));
	buf_free(line);
}

void log_delivery(const struct log_delivery *d)
{
	struct buf line = BUF_INIT(LINE_MAX_BYTES);
	buf_add_str(&line, d->queue_id);
	add_address(&line, ": to=", d->recipient);
	if (d->original.len > 0 && !str_equal(d->original, d->recipient))
		add_address(&line, ", orig_to=", d->original);
	buf_add_cstr(&line, ", relay=");
	buf_add_str(&line, d->relay);
	if (d->reused > 1)
		buf_printf(&line, ", conn_use=%u", d->reused);
	add_delays(&line, &d->delays);
	buf_printf(&line, ", dsn=%.*s, status=%s (", STR_ARG(d->status), d->word);
	/* The closing bracket must survive a long reason. */
	buf_add_str(&line, str_slice(d->text, 0, LOG_LINE_MAX - line.len - 1));
	buf_add_char(&line, ')');
	put(&line);
}

void log_queue_active(
    struct str queue_id, struct str sender, int64_t size, uint32_t nrcpt)
{
	struct buf line = BUF_INIT(LINE_MAX_BYTES);
	buf_add_str(&line, queue_id);
	add_address(&line, ": from=", sender);
	buf_printf(&line, ", size=%lld, nrcpt=%u (queue active)", (long long)size, nrcpt);
	put(&line);
}

void log_expired(struct str queue_id, struct str sender, bool forced)
{
	struct buf line = BUF_INIT(LINE_MAX_BYTES);
	buf_add_str(&line, queue_id);
	add_address(&line, ": from=", sender);
	buf_printf(
	    &line, ", status=%sexpired, returned to sender", forced ? "force-" : "");
	put(&line);
}

void log_removed(struct str queue_id)
{
	log_info("%.*s: removed", STR_ARG(queue_id));
}

void log_message_id(struct str queue_id, struct str message_id, bool resent)
{
	log_info("%.*s: %smessage-id=%.*s", STR_ARG(queue_id), resent ? "resent-" : "",
	    STR_ARG(message_id));
}

void log_reject(const struct log_reject *r)
{
	struct buf line = BUF_INIT(LINE_MAX_BYTES);
	buf_add_str(&line, r->queue_id.len > 0 ? r->queue_id : STR("NOQUEUE"));
	buf_printf(&line, ": %s: %s from %.*s: %.*s", r->action, r->where,
	    STR_ARG(r->client), STR_ARG(r->text));
	const char *separator = ";";
	if (r->sender != NULL) {
		buf_add_cstr(&line, separator);
		add_address(&line, " from=", *r->sender);
		separator = "";
	}
	if (r->recipient != NULL) {
		buf_add_cstr(&line, separator);
		add_address(&line, " to=", *r->recipient);
		separator = "";
	}
	if (r->protocol.len > 0) {
		buf_printf(&line, "%s proto=%.*s", separator, STR_ARG(r->protocol));
		separator = "";
	}
	if (r->helo.len > 0)
		buf_printf(&line, "%s helo=<%.*s>", separator, STR_ARG(r->helo));
	put(&line);
}

void log_content(const struct log_content *c)
{
	struct buf line = BUF_INIT(LINE_MAX_BYTES);
	buf_add_str(&line, c->queue_id);
	buf_printf(&line, ": %s: %s ", c->action, c->what);
	buf_add_str(&line, str_slice(c->excerpt, 0, LOG_EXCERPT_MAX));
	buf_printf(&line, " from %.*s;", STR_ARG(c->client));
	add_address(&line, " from=", c->sender);
	if (c->recipient.len > 0)
		add_address(&line, " to=", c->recipient);
	if (c->protocol.len > 0)
		buf_printf(&line, " proto=%.*s", STR_ARG(c->protocol));
	if (c->helo.len > 0)
		buf_printf(&line, " helo=<%.*s>", STR_ARG(c->helo));
	if (c->text.len > 0)
		buf_printf(&line, ": %.*s", STR_ARG(c->text));
	put(&line);
}
