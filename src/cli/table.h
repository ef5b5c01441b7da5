/* Rows of text in columns that are as wide as they have to be. */
#ifndef WEIR_CLI_TABLE_H
#define WEIR_CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#define TABLE_COLUMNS_MAX 12

struct table {
	size_t columns;
	bool right[TABLE_COLUMNS_MAX]; /* aligned at the right, as numbers are */
	char **cells;
	size_t count, room; /* of cells */
	bool failed;	    /* there was no memory: it lacks something */
};

/* Adds a cell, row by row. */
void table_add(struct table *table, const char *text);
void table_addf(struct table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Prints all rows, and empties the table. */
void table_print(struct table *table);
void table_done(struct table *table);

static inline void table_donep(struct table *table)
{
	table_done(table);
}

#endif
