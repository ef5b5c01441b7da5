/* How wide a column is, is known when all of it is there. */
#include "cli/table.h"

#include "base/macro.h"
#include "base/utf8.h"

#include <stdarg.h>
#include <string.h>

#define GAP 2

static void add(struct table *table, char *text)
{
	if (table->count == table->room) {
		size_t room = MAX(table->room * 2, (size_t)64);
		void *cells = text ? reallocarray(table->cells, room, sizeof(char *)) : NULL;

		if (!cells) {
			table->failed = true;
			free(text);
			return;
		}
		table->cells = cells;
		table->room = room;
	}
	table->failed |= !text;
	table->cells[table->count++] = text;
}

void table_add(struct table *table, const char *text)
{
	add(table, strdup(text));
}

void table_addf(struct table *table, const char *format, ...)
{
	va_list arguments;
	char *text;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	add(table, text);
}

static const char *cell(const struct table *table, size_t number)
{
	const char *text = table->cells[number];

	return text ? text : "?";
}

/* Of a text on a terminal, as far as each character takes one column. */
static size_t width_of(const char *text)
{
	size_t width = 0;

	for (size_t left = strlen(text); left > 0; width++) {
		size_t size = utf8_character((const uint8_t *)text, left);

		size = MAX(size, (size_t)1);
		text += size;
		left -= size;
	}
	return width;
}

/* Nothing stands behind the last cell that has something in it. */
static void print_row(const struct table *table, size_t at, const size_t *widths)
{
	size_t last = table->columns;

	while (last > 0 && (at + last - 1 >= table->count || !*cell(table, at + last - 1)))
		last--;
	for (size_t i = 0; i < last; i++) {
		const char *text = cell(table, at + i);
		int rest = (int)(widths[i] - width_of(text));

		printf("%*s", i > 0 ? GAP : 0, "");
		if (table->right[i])
			printf("%*s%s", rest, "", text);
		else
			printf("%s%*s", text, i + 1 < last ? rest : 0, "");
	}
	putchar('\n');
}

void table_print(struct table *table)
{
	size_t widths[TABLE_COLUMNS_MAX] = {0};

	for (size_t i = 0; i < table->count; i++) {
		size_t column = i % table->columns;

		widths[column] = MAX(widths[column], width_of(cell(table, i)));
	}
	for (size_t i = 0; i < table->count; i += table->columns)
		print_row(table, i, widths);
	table_done(table);
}

void table_done(struct table *table)
{
	for (size_t i = 0; i < table->count; i++)
		free(table->cells[i]);
	free(table->cells);
	table->cells = NULL;
	table->count = table->room = 0;
}
