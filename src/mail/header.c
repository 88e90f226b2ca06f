#include "mail/header.h"

#define SENDER    HEADER_IS_SENDER
#define RECIPIENT HEADER_IS_RECIPIENT
#define RESENT    HEADER_IS_RESENT
#define EXTRACT   HEADER_EXTRACT
#define DROP      HEADER_DROP
#define MIME      HEADER_IS_MIME

#define NAME(text)                     \
	{                              \
		text, sizeof(text) - 1 \
	}

/* The classes are those that Postfix rewrites by. */
static const struct header_row rows[] = {
    {NAME("Apparently-To"), HEADER_APPARENTLY_TO, RECIPIENT},
    {NAME("Bcc"), HEADER_BCC, RECIPIENT | EXTRACT | DROP},
    {NAME("Cc"), HEADER_CC, RECIPIENT | EXTRACT},
    {NAME("Content-Description"), HEADER_CONTENT_DESCRIPTION, MIME},
    {NAME("Content-Disposition"), HEADER_CONTENT_DISPOSITION, MIME},
    {NAME("Content-ID"), HEADER_CONTENT_ID, MIME},
    {NAME("Content-Length"), HEADER_CONTENT_LENGTH, DROP},
    {NAME("Content-Transfer-Encoding"), HEADER_CONTENT_TRANSFER_ENCODING, MIME},
    {NAME("Content-Type"), HEADER_CONTENT_TYPE, MIME},
    {NAME("Date"), HEADER_DATE, 0},
    {NAME("Delivered-To"), HEADER_DELIVERED_TO, 0},
    {NAME("Disposition-Notification-To"), HEADER_DISPOSITION_NOTIFICATION_TO, SENDER},
    {NAME("Errors-To"), HEADER_ERRORS_TO, SENDER},
    {NAME("From"), HEADER_FROM, SENDER},
    {NAME("In-Reply-To"), HEADER_IN_REPLY_TO, 0},
    {NAME("Lines"), HEADER_LINES, 0},
    {NAME("Mail-Followup-To"), HEADER_MAIL_FOLLOWUP_TO, SENDER},
    {NAME("Message-ID"), HEADER_MESSAGE_ID, 0},
    {NAME("MIME-Version"), HEADER_MIME_VERSION, MIME},
    {NAME("Received"), HEADER_RECEIVED, 0},
    {NAME("References"), HEADER_REFERENCES, 0},
    {NAME("Reply-To"), HEADER_REPLY_TO, SENDER},
    {NAME("Resent-Bcc"), HEADER_RESENT_BCC, RECIPIENT | EXTRACT | RESENT | DROP},
    {NAME("Resent-Cc"), HEADER_RESENT_CC, RECIPIENT | EXTRACT | RESENT},
    {NAME("Resent-Date"), HEADER_RESENT_DATE, RESENT},
    {NAME("Resent-From"), HEADER_RESENT_FROM, SENDER | RESENT},
    {NAME("Resent-Message-ID"), HEADER_RESENT_MESSAGE_ID, RESENT},
    {NAME("Resent-Reply-To"), HEADER_RESENT_REPLY_TO, RECIPIENT | RESENT},
    {NAME("Resent-Sender"), HEADER_RESENT_SENDER, SENDER | RESENT},
    {NAME("Resent-To"), HEADER_RESENT_TO, RECIPIENT | EXTRACT | RESENT},
    {NAME("Return-Path"), HEADER_RETURN_PATH, SENDER | DROP},
    {NAME("Return-Receipt-To"), HEADER_RETURN_RECEIPT_TO, SENDER},
    {NAME("Sender"), HEADER_SENDER, SENDER},
    {NAME("Subject"), HEADER_SUBJECT, 0},
    {NAME("TLS-Required"), HEADER_TLS_REQUIRED, 0},
    {NAME("To"), HEADER_TO, RECIPIENT | EXTRACT},
};

static const struct header_row other = {NAME(""), HEADER_OTHER, 0};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

size_t header_name_length(struct str line)
{
	size_t length = 0;
	while (length < line.len && line.p[length] > 32 && line.p[length] < 127 &&
	    line.p[length] != ':')
		length++;
	if (length == 0)
		return 0;
	size_t colon = length;
	while (colon < line.len && is_blank(line.p[colon]))
		colon++;
	return colon < line.len && line.p[colon] == ':' ? length : 0;
}

const struct header_row *header_find(struct str name)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (str_equal_nocase(rows[i].name, name))
			return &rows[i];
	return &other;
}

struct str header_body(struct str field)
{
	ptrdiff_t colon = str_find(field, ':');
	return colon < 0 ? STR_EMPTY : str_trim(str_skip(field, (size_t)colon + 1));
}
