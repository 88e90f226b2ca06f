#include "queue/maildrop.h"

#include <string.h>
#include "mail/address.h"

#define ATTRIBUTE_MAX 2048

static const char *const attributes[] = {"rewrite_context", "encoding", "envelope_id",
    "ret_flags", "notify_flags", "trace_flags", "dsn_orig_rcpt"};

static const char *const allowed[] = {
    [MAILDROP_ENVELOPE] = "FSRVAM",
    [MAILDROP_CONTENT] = "LNX",
    [MAILDROP_EXTRACTED] = "ARE",
    [MAILDROP_DONE] = "",
};

/* A NUL or a line break in an address or attribute would become a second line, or a
 * shorter one, somewhere behind us. */
static bool is_clean(struct str data)
{
	return data.len <= ATTRIBUTE_MAX && memchr(data.p, '\0', data.len) == NULL &&
	    memchr(data.p, '\n', data.len) == NULL &&
	    memchr(data.p, '\r', data.len) == NULL;
}

static bool is_attribute(struct str data)
{
	for (size_t i = 0; i < ARRAY_SIZE(attributes); i++) {
		struct str name = str_of(attributes[i]);
		if (str_starts(data, name) && data.len > name.len &&
		    data.p[name.len] == '=')
			return true;
	}
	return false;
}

static bool refuse(const char **reason_r, const char *reason)
{
	*reason_r = reason;
	return false;
}

static bool check_address(
    struct maildrop_check *c, int type, struct str data, const char **reason_r)
{
	if (data.len > ADDRESS_MAX)
		return refuse(reason_r, "address is too long");
	if (type == RECORD_SENDER && c->sender_seen)
		return refuse(reason_r, "second sender");
	c->sender_seen = c->sender_seen || type == RECORD_SENDER;
	c->recipients += type == RECORD_RECIPIENT;
	return true;
}

static bool advance(struct maildrop_check *c, int type, const char **reason_r)
{
	if (type == RECORD_MESSAGE && !c->sender_seen)
		return refuse(reason_r, "no sender");
	if (type == RECORD_MESSAGE)
		c->phase = MAILDROP_CONTENT;
	else if (type == RECORD_EXTRACTED)
		c->phase = MAILDROP_EXTRACTED;
	else if (type == RECORD_END)
		c->phase = MAILDROP_DONE;
	return true;
}

bool maildrop_check_record(
    struct maildrop_check *c, int type, struct str data, const char **reason_r)
{
	if (type <= 0 || type > 127 || strchr(allowed[c->phase], type) == NULL)
		return refuse(reason_r, "record type is not allowed here");
	if (c->phase == MAILDROP_CONTENT)
		return advance(c, type, reason_r);
	if (!is_clean(data))
		return refuse(reason_r, "control byte or too long");
	if (type == RECORD_ATTRIBUTE && !is_attribute(data))
		return refuse(reason_r, "attribute is not allowed");
	if ((type == RECORD_SENDER || type == RECORD_RECIPIENT) &&
	    !check_address(c, type, data, reason_r))
		return false;
	return advance(c, type, reason_r);
}
