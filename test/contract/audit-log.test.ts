import { dataFolder, openLog } from '../adapters/audit-log/audit-folder.ts'
import { auditLogContract } from './audit-log.ts'

auditLogContract('the log on disk', () => openLog(dataFolder()))
auditLogContract('the log in the page cache', () => openLog(dataFolder(), { durability: 'process' }))
auditLogContract('the log in small segments', () => openLog(dataFolder(), { segmentBytesMax: 1000 }))
