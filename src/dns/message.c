#include "dns/message.h"

#include <netinet/in.h>

#include "base/memory.h"

#define CLASS_IN         1
#define TYPE_OPT         41
#define UDP_SIZE         1232 /* fits every path: https://dnsflagday.net/2020 */
#define FLAGS_QR         0x8000
#define FLAGS_OPCODE     0x7800
#define FLAGS_TC         0x0200
#define FLAGS_RD         0x0100
#define FLAGS_AD         0x0020
#define RCODE_NONE       0
#define RCODE_NXDOMAIN   3
#define MOST_POINTERS    64
#define MOST_CNAME_LINKS 16
#define MOST_CNAMES      32 /* looked at for the chain */

bool dns_name_is_valid(struct str name)
{
	bool numeric = true;
	size_t label = 0;

	if (str_ends(name, STR(".")))
		name.len--;
	/* RFC 1035 section 3.1: 255 bytes on the wire, a length before each label. */
	if (name.len == 0 || name.len + 2 > DNS_NAME_MAX)
		return false;
	for (size_t i = 0; i <= name.len; i++) {
		if (i == name.len || name.p[i] == '.') {
			if (label == 0 || label > 63 || name.p[i - 1] == '-')
				return false;
			label = 0;
			continue;
		}
		if (name.p[i] == '-' ? label == 0
				     : !ascii_is_alnum(name.p[i]) && name.p[i] != '_')
			return false;
		numeric = numeric && ascii_is_digit(name.p[i]);
		label++;
	}
	return !numeric;
}

static void add_u16(struct buf *out, unsigned value)
{
	buf_add_char(out, (char)(value >> 8 & 0xFF));
	buf_add_char(out, (char)(value & 0xFF));
}

static void add_name(struct buf *out, struct str name)
{
	struct str label;

	while (str_next(&name, ".", &label)) {
		buf_add_char(out, (char)label.len);
		buf_add_str(out, label);
	}
	buf_add_char(out, '\0');
}

bool dns_query_write(struct buf *out, uint16_t id, struct str name, enum dns_type type)
{
	if (!dns_name_is_valid(name))
		return false;
	add_u16(out, id);
	/* RFC 6840 section 5.7: AD in a query asks for the AD bit in the answer. */
	add_u16(out, FLAGS_RD | FLAGS_AD);
	add_u16(out, 1);
	add_u16(out, 0);
	add_u16(out, 0);
	add_u16(out, 1);
	add_name(out, name);
	add_u16(out, type);
	add_u16(out, CLASS_IN);
	/* RFC 6891 section 6.1.2. c-ares cuts exactly these 11 last bytes off when a
	 * server does not know EDNS. */
	buf_add_char(out, '\0');
	add_u16(out, TYPE_OPT);
	add_u16(out, UDP_SIZE);
	add_u16(out, 0);
	add_u16(out, 0);
	add_u16(out, 0);
	return buf_ok(out);
}

/* A reader that says `bad` once and for all when it would pass its end. */
struct cursor {
	struct str packet;
	size_t at, end;
	bool bad;
};

struct name {
	char text[DNS_NAME_MAX + 1];
	size_t len;
	bool odd; /* holds a byte that no host name has */
};

struct resource {
	struct name owner;
	unsigned type, class;
	uint32_t ttl;
	struct cursor data;
};

static bool has(struct cursor *c, size_t count)
{
	if (c->bad || count > c->end - c->at)
		c->bad = true;
	return !c->bad;
}

static unsigned get_u8(struct cursor *c)
{
	return has(c, 1) ? (unsigned char)c->packet.p[c->at++] : 0;
}

static unsigned get_u16(struct cursor *c)
{
	unsigned high = get_u8(c);

	return high << 8 | get_u8(c);
}

static struct str get_bytes(struct cursor *c, size_t count)
{
	if (!has(c, count))
		return STR_EMPTY;
	c->at += count;
	return (struct str){c->packet.p + c->at - count, count};
}

static void add_label(struct name *name, struct str label)
{
	if (name->len > 0)
		name->text[name->len++] = '.';
	for (size_t i = 0; i < label.len; i++) {
		char c = label.p[i];
		if (!ascii_is_alnum(c) && c != '-' && c != '_')
			name->odd = true;
		name->text[name->len++] = ascii_lower(c);
	}
}

/*
 * RFC 1035 section 4.1.4. Each pointer must lead before the place where the bytes read
 * last began, so that no walk is endless; the cursor ends behind the first pointer.
 */
static void get_name(struct cursor *c, struct name *name)
{
	struct cursor walk = *c;
	size_t began = c->at, wire = 1;
	bool jumped = false;

	name->len = 0;
	name->odd = false;
	for (unsigned pointers = 0; pointers <= MOST_POINTERS;) {
		unsigned len = get_u8(&walk);

		if ((len & 0xC0) == 0xC0) {
			size_t target = (len & 0x3F) << 8 | get_u8(&walk);
			if (!jumped)
				c->at = walk.at;
			jumped = true;
			if (walk.bad || target >= began)
				break;
			began = walk.at = target;
			walk.end = walk.packet.len;
			pointers++;
			continue;
		}
		wire += len + 1;
		if (walk.bad || len > 63 || wire > DNS_NAME_MAX)
			break;
		if (len == 0) {
			if (!jumped)
				c->at = walk.at;
			return;
		}
		struct str label = get_bytes(&walk, len);
		if (walk.bad)
			break;
		add_label(name, label);
	}
	c->bad = true;
}

static struct str name_str(const struct name *name)
{
	return (struct str){name->text, name->len};
}

/* An odd name may hold a dot within a label, and look like another one. */
static bool same_name(const struct name *a, const struct name *b)
{
	return !a->odd && !b->odd && str_equal(name_str(a), name_str(b));
}

/* False at a resource record that does not fit the packet. */
static bool get_resource(struct cursor *c, struct resource *r)
{
	size_t len;

	get_name(c, &r->owner);
	r->type = get_u16(c);
	r->class = get_u16(c);
	r->ttl = (uint32_t)get_u16(c) << 16;
	r->ttl |= get_u16(c);
	if (r->ttl > INT32_MAX)
		r->ttl = 0; /* RFC 2181 section 8 */
	len = get_u16(c);
	r->data = *c;
	if (!has(c, len))
		return false;
	c->at += len;
	r->data.end = c->at;
	return true;
}

/* The whole of an answer while it is read. */
struct reading {
	struct str packet;
	struct cursor answers; /* at the first record */
	unsigned count;        /* of the answer section, as the header says */
	struct name wanted;    /* the name whose records count; moves along CNAMEs */
	enum dns_type type;
	struct arena *arena;
	struct dns_record *records;
	size_t found, dropped;
	bool no_room; /* the arena is full */
};

static bool keep(struct reading *r, struct str text, struct str *text_r)
{
	*text_r = arena_str(r->arena, text);
	r->no_room = r->no_room || text_r->p == NULL;
	return text_r->p != NULL;
}

/* RFC 974 and 2782 ask for a name, but many a server is given as an IPv4 address. */
static bool is_number(const struct reading *r, const struct name *name)
{
	struct net_address address;

	return (r->type == DNS_MX || r->type == DNS_SRV) &&
	    net_address_parse(name_str(name), 0, &address) &&
	    net_address_family(&address) == AF_INET;
}

/* Host names in data: what no host name has would travel on into logs and commands. */
static bool get_host(
    struct reading *r, struct cursor *c, bool root_allowed, struct str *target_r)
{
	struct name name;

	get_name(c, &name);
	if (c->bad || c->at != c->end || name.odd)
		return false;
	if (name.len == 0 ? !root_allowed
			  : !dns_name_is_valid(name_str(&name)) && !is_number(r, &name))
		return false;
	return keep(r, name_str(&name), target_r);
}

static bool get_text(struct reading *r, struct cursor *c, struct str *target_r)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(65535);

	if (c->at == c->end)
		return false;
	while (!c->bad && c->at < c->end)
		buf_add_str(&text, get_bytes(c, get_u8(c)));
	if (c->bad)
		return false;
	return keep(r, buf_str(&text), target_r);
}

static bool get_address(struct cursor *c, size_t len, struct net_address *r)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	struct str bytes = get_bytes(c, len);

	if (c->bad || c->at != c->end)
		return false;
	if (len == 4) {
		memcpy(&v4.sin_addr, bytes.p, 4);
		return net_address_from((const struct sockaddr *)&v4, sizeof(v4), r);
	}
	memcpy(&v6.sin6_addr, bytes.p, 16);
	return net_address_from((const struct sockaddr *)&v6, sizeof(v6), r);
}

static bool get_data(struct reading *r, struct cursor c, struct dns_record *record)
{
	switch (record->type) {
	case DNS_A:
		return get_address(&c, 4, &record->address);
	case DNS_AAAA:
		return get_address(&c, 16, &record->address);
	case DNS_MX:
		record->preference = (uint16_t)get_u16(&c);
		return get_host(r, &c, true, &record->target); /* RFC 7505: "." */
	case DNS_SRV:
		record->preference = (uint16_t)get_u16(&c);
		record->weight = (uint16_t)get_u16(&c);
		record->port = (uint16_t)get_u16(&c);
		return get_host(r, &c, true, &record->target); /* RFC 2782: "." */
	case DNS_NS:
	case DNS_CNAME:
	case DNS_PTR:
		return get_host(r, &c, false, &record->target);
	case DNS_TXT:
		return get_text(r, &c, &record->target);
	}
	return false;
}

/* Calls `take` for each record of class IN; false when the section is broken. */
static bool for_each(struct reading *r,
    void (*take)(struct reading *r, const struct resource *rr, void *argument),
    void *argument)
{
	struct cursor c = r->answers;
	struct resource resource;

	for (unsigned i = 0; i < r->count; i++) {
		if (!get_resource(&c, &resource))
			return false;
		if (resource.class == CLASS_IN)
			take(r, &resource, argument);
	}
	return true;
}

/* The CNAME records of the section, as far as a chain can use them. */
struct cnames {
	struct resource found[MOST_CNAMES];
	size_t count;
};

static void take_cname(
    UNUSED struct reading *r, const struct resource *resource, void *argument)
{
	struct cnames *cnames = argument;

	if (resource->type == DNS_CNAME && cnames->count < MOST_CNAMES)
		cnames->found[cnames->count++] = *resource;
}

static const struct resource *cname_of(
    const struct cnames *cnames, const struct name *name)
{
	for (size_t i = 0; i < cnames->count; i++)
		if (same_name(&cnames->found[i].owner, name))
			return &cnames->found[i];
	return NULL;
}

/* Moves r->wanted to the end of the chain; false when it is broken or has no end. */
static bool follow(struct reading *r, const struct cnames *cnames)
{
	for (unsigned links = 0; links <= MOST_CNAME_LINKS; links++) {
		const struct resource *next = cname_of(cnames, &r->wanted);
		struct cursor c;

		if (next == NULL)
			return true;
		c = next->data;
		get_name(&c, &r->wanted);
		if (c.bad || c.at != c.end || r->wanted.odd || r->wanted.len == 0)
			return false;
	}
	return false;
}

static void take_record(
    struct reading *r, const struct resource *resource, UNUSED void *argument)
{
	struct dns_record record = {.type = r->type, .ttl = resource->ttl};

	if (resource->type != r->type || r->found == DNS_RECORDS_MAX ||
	    !same_name(&resource->owner, &r->wanted))
		return;
	if (keep(r, name_str(&resource->owner), &record.name) &&
	    get_data(r, resource->data, &record))
		r->records[r->found++] = record;
	else
		r->dropped++;
}

/* The question must be ours (RFC 5452 section 9.1), or the answer is to another one. */
static bool is_our_question(struct cursor *c, unsigned count, struct reading *r)
{
	struct name name;

	if (count != 1)
		return false;
	get_name(c, &name);
	return get_u16(c) == (unsigned)r->type && get_u16(c) == CLASS_IN && !c->bad &&
	    same_name(&name, &r->wanted);
}

static bool find_end_of_chain(struct reading *r)
{
	CLEANUP(memory_free_cleanup) struct cnames *cnames = NULL;

	if (r->type == DNS_CNAME)
		return true;
	cnames = memory_alloc(sizeof(*cnames));
	return for_each(r, take_cname, cnames) && follow(r, cnames);
}

static enum dns_status read_records(struct reading *r)
{
	size_t most = r->count < DNS_RECORDS_MAX ? r->count : DNS_RECORDS_MAX;

	if (most == 0)
		return DNS_NO_DATA;
	if (!find_end_of_chain(r))
		return DNS_MALFORMED;
	r->records = arena_alloc_array(r->arena, most, sizeof(r->records[0]));
	r->no_room = r->records == NULL;
	if (!r->no_room && !for_each(r, take_record, NULL))
		return DNS_MALFORMED;
	if (r->no_room)
		return DNS_TRY_LATER;
	if (r->found > 0)
		return DNS_FOUND;
	return r->dropped > 0 ? DNS_MALFORMED : DNS_NO_DATA;
}

/* Header and question; false when this is no answer to our question. */
static bool read_head(struct reading *r, uint16_t id, struct dns_answer *answer)
{
	struct cursor c = {.packet = r->packet, .end = r->packet.len};
	unsigned got_id = get_u16(&c), flags = get_u16(&c), questions = get_u16(&c);

	r->count = get_u16(&c);
	(void)get_bytes(&c, 4); /* the other sections' counts */
	if (c.bad || got_id != id || (flags & FLAGS_QR) == 0 ||
	    (flags & FLAGS_OPCODE) != 0)
		return false;
	answer->rcode = (uint8_t)(flags & 0xF);
	answer->authentic = (flags & FLAGS_AD) != 0;
	/* A server that could not read the question need not repeat it. */
	if (answer->rcode != RCODE_NONE && answer->rcode != RCODE_NXDOMAIN) {
		answer->status = DNS_TRY_LATER;
		return true;
	}
	if (!is_our_question(&c, questions, r))
		return false;
	r->answers = c;
	if ((flags & FLAGS_TC) != 0)
		answer->status = DNS_TRY_LATER;
	else if (answer->rcode == RCODE_NXDOMAIN)
		answer->status = DNS_NO_NAME;
	else
		answer->status = DNS_FOUND;
	return true;
}

struct dns_answer dns_answer_read(struct str packet, uint16_t id, struct str name,
    enum dns_type type, struct arena *arena)
{
	struct dns_answer answer = {.status = DNS_MALFORMED};
	struct reading r = {.packet = packet, .type = type, .arena = arena};

	if (!dns_name_is_valid(name)) {
		answer.status = DNS_BAD_NAME;
		return answer;
	}
	if (str_ends(name, STR(".")))
		name.len--;
	add_label(&r.wanted, name);
	r.wanted.odd = false; /* its dots are between labels */
	if (!read_head(&r, id, &answer))
		return (struct dns_answer){.status = DNS_MALFORMED};
	if (answer.status != DNS_FOUND)
		return answer;
	answer.status = read_records(&r);
	answer.dropped = r.dropped;
	if (answer.status != DNS_FOUND)
		return answer;
	if (!keep(&r, name_str(&r.wanted), &answer.canonical)) {
		answer.status = DNS_TRY_LATER;
		return answer;
	}
	answer.count = r.found;
	answer.records = r.records;
	return answer;
}
