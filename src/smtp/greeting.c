/* The first words with a server: its greeting, EHLO or HELO, what it can do. */
#include "base/clock.h"
#include "base/log.h"
#include "smtp/smtp.h"
#include "smtp_wire/capability.h"
#include "table/maps.h"

static struct {
	uint32_t discard; /* smtp_discard_ehlo_keywords */
	bool silent;
	struct maps *discard_by_address, *workarounds;
} greetings;

void greeting_before_jail(void)
{
	const struct smtp_params *p = &smtp.params;
	greetings.discard =
	    capability_list(str_of(p->smtp_discard_ehlo_keywords), &greetings.silent);
	greetings.discard_by_address = maps_open("smtp_discard_ehlo_keyword_address_maps",
	    p->smtp_discard_ehlo_keyword_address_maps, 0);
	greetings.workarounds =
	    maps_open("smtp_pix_workaround_maps", p->smtp_pix_workaround_maps, 0);
}

/* Tables that are asked for the server's address. */
static enum table_result lookup_address(
    struct maps *maps, const struct session *s, struct buf *value)
{
	CLEANUP(buf_free) struct buf key = BUF_INIT(NET_ADDRESS_TEXT_MAX * 2);
	if (maps_empty(maps))
		return TABLE_ABSENT;
	net_address_add_text(&key, &s->host.address);
	return maps_lookup(maps, buf_str(&key), false, value);
}

static uint32_t keywords_to_discard(const struct session *s)
{
	uint32_t discard = greetings.discard;
	bool silent = greetings.silent;
	CLEANUP(buf_free) struct buf list = BUF_INIT(1024), names = BUF_INIT(1024);
	if (lookup_address(greetings.discard_by_address, s, &list) == TABLE_FOUND)
		discard = capability_list(buf_str(&list), &silent);
	if (discard == 0 || silent)
		return discard;
	for (unsigned i = 0; i < CAPABILITY_COUNT; i++)
		if (discard & 1U << i)
			buf_printf(&names, " %s", capability_keyword(i));
	log_info("discarding EHLO keywords:%s", buf_cstr(&names));
	return discard;
}

/* Only the best exchanger shows that mail goes in circles for good: behind another that
 * is not to be reached now it waits. */
static bool is_myself(struct session *s, struct str name, struct why *why)
{
	if (s->host.other_port || smtp.dialect->local_store ||
	    !str_is_nocase(name, service_common()->myhostname))
		return false;
	log_warning("host %s replied to HELO/EHLO with my own hostname %s", s->relay,
	    service_common()->myhostname);
	(void)(s->host.best ? why_never : why_later)(
	    why, "5.4.6", "mail for %s loops back to myself", s->key);
	return true;
}

/* A reply to EHLO or HELO that is welcome. */
static bool take_hello(
    struct session *s, const struct reply *r, bool extended, struct why *why)
{
	struct ehlo ehlo;
	ehlo_read(buf_str(&r->lines), &ehlo);
	if (extended) {
		s->capabilities = ehlo.capabilities & ~keywords_to_discard(s);
		s->size_limit = ehlo.size_limit;
		s->xforward = ehlo.xforward;
	}
	return !is_myself(s, ehlo.name, why);
}

static bool say(struct session *s, const char *verb, const char *doing, struct reply *r,
    struct why *why)
{
	int64_t seconds = smtp.params.smtp_helo_timeout;
	CLEANUP(buf_free) struct buf line = BUF_INIT(8192);
	buf_printf(&line, "%s %s", verb, smtp.params.smtp_helo_name);
	session_send(s, doing, seconds, buf_str(&line));
	return session_reply(s, doing, seconds, r, why);
}

/* RFC 5321 3.2: a server that refuses EHLO, for whatever reason, may like HELO; LMTP has
 * LHLO alone (RFC 2033 4.1). */
static bool say_hello(struct session *s, struct reply *r, bool extended, struct why *why)
{
	if (extended) {
		if (!say(s, smtp.dialect->hello, smtp.dialect->greeting, r, why))
			return false;
		if (reply_class(r) == 2)
			return take_hello(s, r, true, why);
		if (s->closing || smtp.dialect->local_store)
			return trouble_refused(why, s, r, false);
	}
	if (!say(s, "HELO", "performing the HELO handshake", r, why))
		return false;
	if (reply_class(r) != 2)
		return trouble_refused(why, s, r, false);
	return take_hello(s, r, false, why);
}

static bool wants_ehlo(const struct session *s, const struct reply *greeting)
{
	if (smtp.dialect->local_store)
		return true;
	if (smtp.params.smtp_never_send_ehlo || s->plain_only)
		return false;
	return smtp.params.smtp_always_send_ehlo ||
	    str_find_str(buf_str(&greeting->text), STR("ESMTP")) >= 0;
}

/* A firewall of this kind paints over the banner, all but a few of its bytes. */
static bool is_painted_over(const struct reply *greeting)
{
	struct str banner = str_skip(buf_str(&greeting->lines), 4);
	for (size_t i = 0; i < banner.len; i++)
		if (str_find(STR("*20 "), banner.p[i]) < 0)
			return false;
	return banner.len > 0;
}

/* smtp_pix_workarounds, or what smtp_pix_workaround_maps has for the address. */
static void choose_workarounds(struct session *s, const struct delivery *d)
{
	CLEANUP(buf_free) struct buf chosen = BUF_INIT(1024);
	int64_t age = clock_wall().tv_sec - d->request.arrival / 1000000;
	bool old = age >= smtp.params.smtp_pix_workaround_threshold_time;
	if (lookup_address(greetings.workarounds, s, &chosen) != TABLE_FOUND)
		buf_add_cstr(&chosen, smtp.params.smtp_pix_workarounds);
	struct str rest = buf_str(&chosen), word;
	while (str_next(&rest, " \t\r\n,", &word)) {
		s->plain_only = s->plain_only || str_is_nocase(word, "disable_esmtp");
		s->delay_dot =
		    s->delay_dot || (old && str_is_nocase(word, "delay_dotcrlf"));
	}
	if (s->plain_only || s->delay_dot)
		log_info("%.*s: enabling PIX workarounds:%s%s for %s",
		    STR_ARG(d->request.id), s->plain_only ? " disable_esmtp" : "",
		    s->delay_dot ? " delay_dotcrlf" : "", s->relay);
}

/* A 5xx greeting concerns this host only (smtp_skip_5xx_greeting). */
static bool greet(
    struct session *s, const struct delivery *d, struct reply *r, struct why *why)
{
	static const char doing[] = "receiving the initial server greeting";
	if (!session_reply(s, doing, smtp.params.smtp_helo_timeout, r, why))
		return false;
	if (reply_class(r) != 2)
		return trouble_refused(why, s, r, smtp.params.smtp_skip_5xx_greeting);
	if (is_painted_over(r))
		choose_workarounds(s, d);
	return say_hello(s, r, wants_ehlo(s, r), why);
}

bool greeting_exchange(struct session *s, const struct delivery *d, struct why *why)
{
	struct reply reply;
	reply_init(&reply);
	bool good = greet(s, d, &reply, why);
	reply_free(&reply);
	return good;
}
