"""Turns the published FUSE interface into tables that a compiler fills in.

The CSV files say what the interface is. Each table has a row per line of
them, in which the compiler puts what a header really has, so that a name the
header lacks does not compile:

  kernel_abi_layout.inc     published and kernel_abi's offset and size
  kernel_abi_constants.inc  published and kernel_abi's value
  system_layout.inc         <linux/fuse.h>'s offset and size
  system_constants.inc      <linux/fuse.h>'s value
  kernel_abi_names.inc      what kernel_abi declares, for the reverse check

The system's header may be older than the CSV files; its tables have only the
rows for which its text has the name. Headers are read for names and for
nothing else.
"""

import argparse
import csv
import pathlib
import re

# Every constant of the interface begins like this.
CONSTANT = re.compile(r'\b(?:CUSE|FATTR|FOPEN|FUSE)_[A-Z0-9_]+\b')
# An object-like macro; a function-like one is no constant.
DEFINE = re.compile(r'#[ \t]*define[ \t]+(\w+)[ \t]')
STRUCT = re.compile(r'\bstruct\s+(\w+)\s*\{([^{}]*)\}')
# The last word of a member's declaration, in front of any array bounds.
MEMBER = re.compile(r'(\w+)\s*(?:\[[^\]]*\]\s*)*$')


class Header:
    """The names that the text of a C or C++ header declares.

    Attributes:
      members: of each struct, the names of its members in order.
      constants: macros that begin like a constant of the interface, and such
          words anywhere in the code, which are enumerators and C++ constants.
    """

    def __init__(self, text):
        text = re.sub(r'/\*.*?\*/', ' ', text, flags=re.DOTALL)
        text = re.sub(r'//[^\n]*', '', text)
        text = text.replace('\\\n', ' ')
        directives = re.findall(r'^[ \t]*#[^\n]*', text, flags=re.MULTILINE)
        code = re.sub(r'^[ \t]*#[^\n]*', '', text, flags=re.MULTILINE)
        macros = re.findall(DEFINE, '\n'.join(directives))
        self.constants = set(CONSTANT.findall(code))
        self.constants.update(filter(CONSTANT.fullmatch, macros))
        self.members = {
            name: self._members(name, body)
            for name, body in STRUCT.findall(code)
        }

    @staticmethod
    def _members(struct, body):
        declarations = filter(None, map(str.strip, body.split(';')))
        names = []
        for declaration in declarations:
            match = MEMBER.search(declaration)
            if match is None or ',' in declaration:
                raise ValueError(f'cannot read {struct}: {declaration}')
            names.append(match.group(1))
        return names

    def has_member(self, struct, field):
        """Whether the struct is there and, unless '', the field in it."""
        return struct in self.members and (
            not field or field in self.members[struct])


def read_csv(path):
    """The rows of a CSV file as dicts."""
    with open(path, newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file))


def extent(struct, field):
    """C++ for the offset and the size of a field, or of a struct if ''."""
    if not field:
        return f'{{0, sizeof({struct})}}'
    return f'{{offsetof({struct}, {field}), sizeof({struct}::{field})}}'


def kernel_abi_layout(layout):
    """A row for every struct and every field."""
    for row in layout:
        struct, field = row['struct'], row['field']
        if field.endswith('[]'):
            # What follows a struct is no member in kernel_abi; the struct
            # must end where it starts.
            ours = f'{{sizeof(abi::{struct}), 0}}'
        else:
            ours = extent(f'abi::{struct}', field)
        published = f'{{{row["offset"]}, {row["size"]}}}'
        yield f'{{"{struct}", "{field}", {published}, {ours}}},'


def kernel_abi_constants(constants):
    """A row for every constant."""
    for row in constants:
        name, value = row['name'], row['value']
        ours = f'static_cast<uint64_t>(abi::{name})'
        yield f'{{"{name}", {value}u, {ours}}},'


def kernel_abi_names(headers):
    """A row for every name declared: struct, field, or '' and a constant."""
    for header in headers:
        for struct, fields in header.members.items():
            yield f'{{"{struct}", ""}},'
            for field in fields:
                yield f'{{"{struct}", "{field}"}},'
        for constant in sorted(header.constants):
            yield f'{{"", "{constant}"}},'


def system_layout(layout, header):
    """A row for every struct and field that the system's header has."""
    for row in layout:
        struct, field = row['struct'], row['field']
        if not header.has_member(struct, field.removesuffix('[]')):
            continue
        if field.endswith('[]'):
            member = field.removesuffix('[]')
            value = f'{{offsetof({struct}, {member}), 0}}'
        else:
            value = extent(struct, field)
        yield f'{{"{struct}", "{field}", {value}}},'


def system_constants(constants, header):
    """A row for every constant that the system's header has."""
    for row in constants:
        name = row['name']
        if name in header.constants:
            yield f'{{"{name}", static_cast<uint64_t>({name})}},'


def main():
    """Reads what the flags name and writes the five tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--layout', required=True)
    parser.add_argument('--constants', required=True)
    parser.add_argument('--system_header', required=True)
    parser.add_argument('--kernel_abi', required=True, nargs='+')
    parser.add_argument('--output_dir', required=True, type=pathlib.Path)
    flags = parser.parse_args()

    layout = read_csv(flags.layout)
    constants = read_csv(flags.constants)
    system, *ours = (
        Header(pathlib.Path(path).read_text(encoding='utf-8'))
        for path in [flags.system_header, *flags.kernel_abi])
    tables = {
        'kernel_abi_constants.inc': kernel_abi_constants(constants),
        'kernel_abi_layout.inc': kernel_abi_layout(layout),
        'kernel_abi_names.inc': kernel_abi_names(ours),
        'system_constants.inc': system_constants(constants, system),
        'system_layout.inc': system_layout(layout, system),
    }
    for name, rows in tables.items():
        text = ''.join(f'{row}\n' for row in rows)
        (flags.output_dir / name).write_text(text, encoding='utf-8')


if __name__ == '__main__':
    main()
