#include "verify/entry.h"

#define IN_PROGRESS "Address verification in progress"

static bool take_number(struct str *rest, int64_t most, int64_t *number_r)
{
	ptrdiff_t colon = str_find(*rest, ':');
	if (colon < 0 ||
	    !str_to_range(str_slice(*rest, 0, (size_t)colon), 0, most, number_r))
		return false;
	*rest = str_skip(*rest, (size_t)colon + 1);
	return true;
}

bool entry_parse(struct str value, struct entry *e_r)
{
	struct entry e;
	int64_t status;
	if (value.len > ENTRY_VALUE_MAX ||
	    !take_number(&value, VERIFY_STATUS_LAST, &status) ||
	    !take_number(&value, INT64_MAX / 4, &e.probed) ||
	    !take_number(&value, INT64_MAX / 4, &e.updated) || value.len == 0 ||
	    value.len > WHY_TEXT_MAX || str_has_control(value))
		return false;
	e.status = (enum verify_status)status;
	e.text = value;
	*e_r = e;
	return true;
}

void entry_write(struct buf *out, const struct entry *e)
{
	struct str text = str_slice(e->text, 0, WHY_TEXT_MAX);
	buf_printf(out, "%d:%lld:%lld:", (int)e->status, (long long)e->probed,
	    (long long)e->updated);
	if (text.len == 0)
		text = STR("no reason given");
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.p[i];
		buf_add_char(out, c < 32 || c == 127 ? '?' : text.p[i]);
	}
}

static bool has_expired(
    const struct entry *e, const struct entry_times *times, int64_t now)
{
	int64_t life = e->status == VERIFY_DELIVERABLE ? times->positive_expire
						       : times->negative_expire;
	return e->status != VERIFY_UNKNOWN && e->updated + life < now;
}

void entry_expire(struct entry *e, const struct entry_times *times, int64_t now)
{
	if (e->status != VERIFY_UNKNOWN && !has_expired(e, times, now))
		return;
	e->status = VERIFY_UNKNOWN;
	e->updated = 0;
	e->text = STR(IN_PROGRESS);
}

static bool is_probed(const struct entry *e, int64_t now)
{
	return e->probed + ENTRY_PROBE_TTL >= now;
}

bool entry_wants_probe(
    const struct entry *e, const struct entry_times *times, int64_t now)
{
	int64_t fresh = e->status == VERIFY_DELIVERABLE ? times->positive_refresh
							: times->negative_refresh;
	bool known = e->status != VERIFY_UNKNOWN && e->updated + fresh >= now;
	return !known && !is_probed(e, now);
}

bool entry_is_useless(const struct entry *e, const struct entry_times *times, int64_t now)
{
	return (e->status == VERIFY_UNKNOWN || has_expired(e, times, now)) &&
	    !is_probed(e, now);
}

void entry_update(struct entry *e, enum verify_status status, struct str text,
    const struct entry_times *times, int64_t now)
{
	bool stays = status != VERIFY_DELIVERABLE && e->status == VERIFY_DELIVERABLE &&
	    !has_expired(e, times, now);
	if (stays)
		return;
	e->probed = 0;
	e->status = status;
	e->updated = now;
	e->text = text;
}
