/* Copies that the sender does not see: always_bcc, sender_bcc_maps, recipient_bcc_maps,
 * and those that header and body checks ask for. Nobody hears of their delivery. */
#include "base/memory.h"
#include "cleanup/mapping.h"

struct bcc {
	struct address_table sender, recipient;
	struct str always;
};

struct bcc *bcc_open(void)
{
	struct bcc *bcc = memory_alloc(sizeof(*bcc));
	lookup_open(
	    &bcc->sender, "sender_bcc_maps", cleanup.params.sender_bcc_maps, NULL);
	lookup_open(&bcc->recipient, "recipient_bcc_maps",
	    cleanup.params.recipient_bcc_maps, NULL);
	bcc->always = str_trim(str_of(cleanup.params.always_bcc));
	if (bcc->sender.maps != NULL || bcc->recipient.maps != NULL ||
	    bcc->always.len > 0)
		return bcc;
	free(bcc);
	return NULL;
}

bool bcc_changed(struct bcc *bcc)
{
	return bcc != NULL &&
	    (lookup_changed(&bcc->sender) || lookup_changed(&bcc->recipient));
}

static bool wanted(const struct message *m)
{
	return cleanup.bcc != NULL && (m->envelope.flags & CLEANUP_BCC) != 0 &&
	    m->status == CLEANUP_OK;
}

/* The whole answer is the address. */
static void copy_to(struct message *m, struct address_table *table, struct str address)
{
	if (table->maps == NULL || address.len == 0)
		return;
	CLEANUP(buf_free) struct buf value = BUF_INIT(TABLE_VALUE_MAX);
	CLEANUP(buf_free) struct buf extension = BUF_INIT(ADDRESS_MAX);
	if (lookup_address(m, table, address, &value, &extension) == TABLE_FOUND)
		recipients_add_bcc(m, buf_str(&value));
}

void bcc_of_sender(struct message *m)
{
	if (wanted(m))
		copy_to(m, &cleanup.bcc->sender, m->sender);
}

void bcc_of_recipient(struct message *m, struct str address)
{
	if (wanted(m))
		copy_to(m, &cleanup.bcc->recipient, address);
}

void bcc_add(struct message *m, struct str address)
{
	struct bcc_wanted *copy = arena_alloc(m->arena, sizeof(*copy));
	struct str kept = arena_str(m->arena, address);
	if (copy == NULL || kept.p == NULL) {
		message_fail(m, CLEANUP_TABLE, "");
		return;
	}
	copy->address = kept;
	struct bcc_wanted **end = &m->bccs;
	while (*end != NULL)
		end = &(*end)->next;
	*end = copy;
}

void bcc_write(struct message *m)
{
	if (wanted(m) && cleanup.bcc->always.len > 0)
		recipients_add_bcc(m, cleanup.bcc->always);
	for (const struct bcc_wanted *b = m->bccs; b != NULL; b = b->next)
		recipients_add_bcc(m, b->address);
}
