//! Leaving the line tables of the standard library out of a component.
//!
//! File and line in the frames of a trap come from DWARF in the component. The parts of Rust's standard library and of
//! the C library come precompiled with theirs, and a linker takes them or leaves them together with the author's: a small
//! stage has 3.8 MB with all of them, 0.3 MB with none. So the units of the author's crates are copied, with the names
//! that functions inlined from the standard library need, and all else is left: 0.7 MB.
//!
//! Changes no code. Invariant: what cannot be understood is left as it is.
use std::collections::BTreeMap;
use std::ops::Range;

use gimli::read::{self, AttributeValue, EndianSlice};
use gimli::write::{
    Address, ConvertResult, ConvertUnit, ConvertUnitEntry, EndianVec, FilterUnitEntry,
    FilterUnitSection, Sections, UnitEntryId,
};
use gimli::{DwAt, LittleEndian, SectionId, constants};
use wasm_encoder::{CustomSection, RawSection, Section};
use wasmparser::{Parser, Payload};

type Reader<'a> = EndianSlice<'a, LittleEndian>;

/// Where the sources lay of what comes precompiled: the standard library, the crates that it is built with, the C library.
const PRECOMPILED: [&str; 3] = ["/rustc/", "/rust/deps/", "wasisdk://"];

/// From here on an address is none: that is how linkers mark code that they left out.
const ADDRESS_MAX: u64 = 0xffff_fffd;

/// The sections that begin with this hold DWARF.
const DWARF_SECTION: &str = ".debug_";

/// Section id of a core module in a component.
const CORE_MODULE: u8 = 1;
/// Magic number and version.
const HEADER_BYTES: usize = 8;

/// What frames need to know of a function, and what leads from one entry to another.
const OF_FUNCTIONS: [DwAt; 9] = [
    constants::DW_AT_name,
    constants::DW_AT_linkage_name,
    constants::DW_AT_specification,
    constants::DW_AT_abstract_origin,
    constants::DW_AT_inline,
    constants::DW_AT_declaration,
    constants::DW_AT_call_file,
    constants::DW_AT_call_line,
    constants::DW_AT_call_column,
];
/// What frames need to know of code that is there.
const OF_CODE: [DwAt; 5] = [
    constants::DW_AT_low_pc,
    constants::DW_AT_high_pc,
    constants::DW_AT_ranges,
    constants::DW_AT_stmt_list,
    constants::DW_AT_comp_dir,
];
/// Names of files belong to the line table of their unit, and are nothing without it.
const OF_LINES: [DwAt; 3] =
    [constants::DW_AT_call_file, constants::DW_AT_call_line, constants::DW_AT_call_column];

/// The component without the line tables of what comes precompiled; `None` where there are none, or where the component
/// is written in a way that is not known here.
pub(super) fn without_precompiled(component: &[u8]) -> Option<Vec<u8>> {
    let mut smaller = component.get(..HEADER_BYTES)?.to_vec();
    for (id, range) in sections(component)? {
        let section = component.get(range)?;
        let module = if id == CORE_MODULE { without_precompiled_in(section) } else { None };
        RawSection { id, data: module.as_deref().unwrap_or(section) }.append_to(&mut smaller);
    }
    (smaller.len() < component.len()).then_some(smaller)
}

/// The same for a core module.
fn without_precompiled_in(module: &[u8]) -> Option<Vec<u8>> {
    let mut debug = BTreeMap::new();
    let mut smaller = module.get(..HEADER_BYTES)?.to_vec();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload.ok()?;
        if let Payload::CustomSection(custom) = &payload
            && custom.name().starts_with(DWARF_SECTION)
        {
            debug.insert(custom.name(), custom.data());
        } else if let Some((id, range)) = payload.as_section() {
            RawSection { id, data: module.get(range)? }.append_to(&mut smaller);
        }
    }
    if debug.is_empty() {
        return None;
    }
    for (name, data) in own_units(&debug).ok()? {
        CustomSection { name: name.into(), data: data.into() }.append_to(&mut smaller);
    }
    Some(smaller)
}

/// Id and place of each section of a component; those of modules and components inside of it are part of theirs.
fn sections(component: &[u8]) -> Option<Vec<(u8, Range<usize>)>> {
    let mut found = Vec::new();
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(component) {
        match payload.ok()? {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth = depth.checked_sub(1)?,
            payload if depth == 1 => found.extend(payload.as_section()),
            _ => {}
        }
    }
    Some(found)
}

/// The sections with the units of the author's crates.
fn own_units(sections: &BTreeMap<&str, &[u8]>) -> ConvertResult<Vec<(&'static str, Vec<u8>)>> {
    let load = |id: SectionId| -> Result<Reader<'_>, gimli::Error> {
        Ok(EndianSlice::new(sections.get(id.name()).copied().unwrap_or_default(), LittleEndian))
    };
    let all = read::Dwarf::load(load)?;
    let mut wanted = FilterUnitSection::new(&all)?;
    while let Some(mut unit) = wanted.read_unit()? {
        let is_own = is_own(&unit.read_unit);
        let mut entry = unit.null_entry();
        while unit.read_entry(&mut entry)? {
            if is_own && is_function_with_code(&entry) {
                unit.require_entry(entry.offset());
            }
        }
    }
    let mut own = gimli::write::Dwarf::new();
    let mut units = own.convert_with_filter(wanted)?;
    while let Some((mut unit, root)) = units.read_unit()? {
        copy_unit(&mut unit, root)?;
    }
    let mut written = Sections::new(EndianVec::new(LittleEndian));
    own.write(&mut written)?;
    let mut named = Vec::new();
    written.for_each(|id, data| {
        if !data.slice().is_empty() {
            named.push((id.name(), data.slice().to_vec()));
        }
        Ok::<(), gimli::write::Error>(())
    })?;
    Ok(named)
}

fn is_own(unit: &read::Unit<Reader<'_>>) -> bool {
    let is_precompiled = |place: &Option<Reader<'_>>| {
        let place = place.as_ref().map(|place| place.slice()).unwrap_or_default();
        PRECOMPILED.iter().any(|prefix| place.starts_with(prefix.as_bytes()))
    };
    !is_precompiled(&unit.name) && !is_precompiled(&unit.comp_dir)
}

fn is_function_with_code(entry: &FilterUnitEntry<'_, Reader<'_>>) -> bool {
    let address = entry.attr_value(constants::DW_AT_low_pc);
    let has_address =
        matches!(address, Some(AttributeValue::Addr(address)) if address <= ADDRESS_MAX);
    entry.tag() == constants::DW_TAG_subprogram
        && (has_address || entry.attr_value(constants::DW_AT_ranges).is_some())
}

/// Of a unit of the standard library only names are copied: of functions that are inlined into the author's.
fn copy_unit<'unit, 'data>(
    unit: &mut ConvertUnit<'unit, Reader<'data>>,
    root: ConvertUnitEntry<'unit, Reader<'data>>,
) -> ConvertResult<()> {
    let is_own = is_own(&unit.read_unit);
    if is_own {
        if let Some(lines) = unit.read_line_program(None, None)? {
            let (lines, files) = lines.convert(&|address| Some(Address::Constant(address)))?;
            unit.set_line_program(lines, files);
        }
        copy_attributes(unit, unit.unit.root(), &root, is_own)?;
    }
    let mut entry = root;
    while let Some(id) = unit.read_entry(&mut entry)? {
        if id.is_some() {
            let id = unit.add_entry(id, &entry);
            copy_attributes(unit, id, &entry, is_own)?;
        }
    }
    Ok(())
}

fn copy_attributes<'unit, 'data>(
    unit: &mut ConvertUnit<'unit, Reader<'data>>,
    id: UnitEntryId,
    entry: &ConvertUnitEntry<'unit, Reader<'data>>,
    is_own: bool,
) -> ConvertResult<()> {
    for attribute in entry.attrs() {
        let name = attribute.name();
        let is_wanted = OF_FUNCTIONS.contains(&name) || OF_CODE.contains(&name);
        let needs_own_unit = OF_CODE.contains(&name) || OF_LINES.contains(&name);
        if is_wanted && (is_own || !needs_own_unit) {
            let value = unit.convert_attribute_value(entry.read_unit, attribute, &|address| {
                Some(Address::Constant(address))
            })?;
            unit.unit.get_mut(id).set(name, value);
        }
    }
    Ok(())
}
