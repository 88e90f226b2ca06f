#include "smtp/flags.h"

#include "base/log.h"
#include "base/panic.h"
#include "deliver/message_copy.h"
#include "smtp/generic.h"

#define FINAL (1U << 31) /* beside enum message_copy_flags */

static const struct {
	char letter;
	unsigned flag;
} letters[] = {
    {'D', COPY_DELIVERED_TO},
    {'O', COPY_ORIGINAL_TO},
    {'R', COPY_RETURN_PATH},
    {'X', FINAL},
};

static unsigned flags;

static unsigned flag_of(char letter)
{
	for (size_t i = 0; i < ARRAY_SIZE(letters); i++)
		if (letters[i].letter == letter)
			return letters[i].flag;
	return 0;
}

static unsigned read_letters(struct str value)
{
	unsigned found = 0;
	for (size_t i = 0; i < value.len; i++) {
		if (flag_of(value.p[i]) == 0)
			fatal("unknown flags=%.*s value \"%c\" in \"%.*s\"",
			    STR_ARG(value), value.p[i], STR_ARG(value));
		found |= flag_of(value.p[i]);
	}
	return found;
}

void flags_before_jail(void)
{
	for (char *const *word = service_attributes(); *word != NULL; word++) {
		struct str text = str_of(*word);
		if (!str_starts(text, STR("flags=")))
			fatal("unknown attribute name: %s", *word);
		flags = read_letters(str_skip(text, STR("flags=").len));
	}
	if (!smtp.dialect->reply_each || !smtp.params.lmtp_assume_final)
		return;
	log_warning("lmtp_assume_final is obsolete; instead, specify \"flags=X\" in "
		    "master.cf");
	flags |= FINAL;
}

bool flags_final(void)
{
	return (flags & FINAL) != 0;
}

/* D or O: the one that a warning names; 0 for none. */
static char personal(void)
{
	return (flags & COPY_DELIVERED_TO) ? 'D' : (flags & COPY_ORIGINAL_TO) ? 'O' : 0;
}

static bool refuse(struct delivery *d, struct why *why)
{
	delivery_failed_rest(d, str_of(service_name()), why);
	return false;
}

static bool permit(struct delivery *d, struct why *why)
{
	struct delivered_to fields;
	if (personal() != 0 && d->count > 1) {
		log_warning("flag `%c' requires %s_destination_recipient_limit = 1",
		    personal(), service_name());
		(void)why_later(why, "4.3.5", "mail system configuration error");
		return refuse(d, why);
	}
	if ((flags & COPY_DELIVERED_TO) == 0)
		return true;
	struct str address = d->recipients[0].request->address;
	if (message_delivered_to(d, address, &fields) != 0)
		(void)why_later(why, "4.3.0", "queue file is corrupt");
	else if (fields.found)
		(void)why_never(
		    why, "5.4.6", "mail forwarding loop for %.*s", STR_ARG(address));
	else
		return true;
	return refuse(d, why);
}

bool flags_permit(struct delivery *d)
{
	struct why why;
	if (personal() == 0)
		return true;
	why_init(&why);
	bool permitted = permit(d, &why);
	why_free(&why);
	return permitted;
}

bool flags_fields(struct delivery *d, struct buf *out)
{
	const struct message_style style = {.flags = flags & ~FINAL};
	struct delivery_rcpt rcpt = d->recipients[0];
	struct delivery_recipient request = *rcpt.request;
	if (style.flags == 0)
		return true;
	rcpt.request = &request;
	if (generic_is_set() &&
	    (!generic_map(rcpt.sender, d->arena, &rcpt.sender) ||
		!generic_map(request.original, d->arena, &request.original) ||
		!generic_map(request.address, d->arena, &rcpt.delivered_to)))
		return false;
	message_fields(out, &rcpt, &style);
	return buf_ok(out);
}
